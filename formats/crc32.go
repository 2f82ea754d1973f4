package formats

// CombineCRC32 returns the IEEE CRC-32 of a followed by b, from the CRCs of both
// and the length of b in bytes. Appending n zero bits to a message multiplies its
// CRC by x^n modulo the polynomial, so it takes one multiplication by a power
// that is found by squaring.
func CombineCRC32(a, b uint32, lenB int64) uint32 {
	if lenB == 0 {
		return a
	}
	return multiply(power(uint64(lenB)*8), a) ^ b
}

const poly = 0xedb88320 // IEEE, the bits reversed

// multiply returns a*b modulo poly; bit 31 is x^0.
func multiply(a, b uint32) uint32 {
	var p uint32
	for m := uint32(1) << 31; m != 0; m >>= 1 {
		if a&m != 0 {
			p ^= b
		}
		if b&1 != 0 {
			b = b>>1 ^ poly
		} else {
			b >>= 1
		}
	}
	return p
}

// power returns x^n modulo poly.
func power(n uint64) uint32 {
	p, square := uint32(1)<<31, uint32(1)<<30 // x^0, x^1
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			p = multiply(square, p)
		}
		square = multiply(square, square)
	}
	return p
}
