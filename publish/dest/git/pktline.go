package git

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// What a packet may be besides a line of data.
const (
	packetData = iota
	packetFlush
	packetDelim
	packetEnd
)

// maxLine is the longest data a packet may bear.
const maxLine = 65516

// errEnded says that an answer stopped before its end.
var errEnded = errors.New("the answer ended early")

// packets reads git's packet lines: four hexadecimal digits of length, then data
// (gitprotocol-common(5)).
type packets struct {
	r   *bufio.Reader
	buf []byte
}

func newPackets(r io.Reader) *packets { return &packets{r: bufio.NewReaderSize(r, 32<<10)} }

// next returns a packet. The line is valid until the next call. io.EOF comes only
// at the start of a packet; elsewhere the end is errEnded. A packet by which a host
// says what is wrong is a *hostError.
func (p *packets) next() (line []byte, kind int, err error) {
	var head, n [4]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return nil, 0, early(err, io.EOF)
	}
	if _, err := hex.Decode(n[:2], head[:]); err != nil {
		rest, _ := p.r.Peek(min(p.r.Buffered(), 200))
		return nil, 0, fmt.Errorf("an answer that is not git's: %q; correct the URL, and keep proxies and login scripts from writing there", printable(string(head[:])+string(rest), 120))
	}
	size := int(n[0])<<8 | int(n[1])
	switch size {
	case 0:
		return nil, packetFlush, nil
	case 1:
		return nil, packetDelim, nil
	case 2:
		return nil, packetEnd, nil
	case 3:
		return nil, 0, errors.New("a packet of length 3 in the host's answer")
	}
	if size-4 > maxLine+4 {
		return nil, 0, fmt.Errorf("a packet of length %d in the host's answer", size)
	}
	if cap(p.buf) < size-4 {
		p.buf = make([]byte, max(size-4, 4<<10))
	}
	line = p.buf[:size-4]
	if _, err := io.ReadFull(p.r, line); err != nil {
		return nil, 0, early(err, errEnded)
	}
	if msg, ok := strings.CutPrefix(string(line[:min(len(line), 4)]), "ERR "); ok && msg == "" {
		return nil, 0, &hostError{words: printable(string(line[4:]), 300)}
	}
	return line, packetData, nil
}

// text returns a data packet without its line break; any other kind is an error.
func (p *packets) text() (string, error) {
	line, kind, err := p.next()
	if err == io.EOF {
		return "", errEnded
	}
	if err != nil {
		return "", err
	}
	if kind != packetData {
		return "", errors.New("the host's answer lacks a line")
	}
	return strings.TrimSuffix(string(line), "\n"), nil
}

// early turns the ways in which a stream ends into one error.
func early(err, atStart error) error {
	if err == io.EOF {
		return atStart
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errEnded
	}
	return err
}

// appendLine appends text as a packet.
func appendLine(b []byte, format string, args ...any) []byte {
	text := fmt.Sprintf(format, args...)
	b = fmt.Appendf(b, "%04x", len(text)+4)
	return append(b, text...)
}

// sideband is the data of an answer that a host mixes with words for people.
type sideband struct {
	p     *packets
	words *strings.Builder // what the host says, up to maxWords
	rest  []byte
	err   error
}

// maxWords bounds what is remembered of a host's words.
const maxWords = 8 << 10

func (s *sideband) Read(b []byte) (int, error) {
	for len(s.rest) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		line, kind, err := s.p.next()
		switch {
		case err == io.EOF:
			s.err = errEnded
		case err != nil:
			s.err = err
		case kind != packetData:
			s.err = io.EOF
		case len(line) == 0:
		case line[0] == 1:
			s.rest = line[1:]
		case line[0] == 2:
			if s.words.Len() < maxWords {
				s.words.Write(line[1:min(len(line), maxWords)])
			}
		case line[0] == 3:
			s.err = &hostError{words: printable(string(line[1:]), 300)}
		default:
			s.err = fmt.Errorf("band %d in the host's answer", line[0])
		}
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
