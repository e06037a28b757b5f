package main

import (
	"encoding/binary"
	"errors"
	"io"
)

// largestFrame bounds a request: the files of one tree, and what JSON adds to them.
const largestFrame = 96 << 20

var errFrame = errors.New("a frame is too large")

// A frame is its length as four bytes, big-endian, and as many bytes of JSON.
func readFrame(from io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > largestFrame {
		return nil, errFrame
	}
	body := make([]byte, size)
	_, err := io.ReadFull(from, body)
	return body, err
}

func writeFrame(to io.Writer, body []byte) error {
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	_, err := to.Write(append(frame, body...))
	return err
}
