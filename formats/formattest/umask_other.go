//go:build !unix

package formattest

func setUmask(mask int) int { return mask }
