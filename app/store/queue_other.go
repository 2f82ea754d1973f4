//go:build !unix

package store

import "time"

// queue is SQLite's own here: processes that write at the same time may be unlucky.
type queue struct{}

func openQueue(string) (*queue, error)     { return &queue{}, nil }
func (q *queue) enter(time.Duration) error { return nil }
func (q *queue) leave()                    {}
func (q *queue) close() error              { return nil }
