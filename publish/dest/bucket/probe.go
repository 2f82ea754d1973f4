package bucket

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

const probePath = publish.PrivateDir + "/probe"

// Probe tells whether a publish could work: it reads, writes .distropack/probe,
// and deletes what is not there. Its errors say what to do.
func (b *Bucket) Probe(ctx context.Context) error {
	// Who looks whether it works does not want to wait through all tries.
	quick := &Bucket{o: b.o, host: b.host, s3: s3.New(b.s3.Options(), func(o *s3.Options) { o.RetryMaxAttempts = 2 })}
	text, _, err := quick.readAll(ctx, memoryPath, maxMemory)
	if err != nil && !isMissing(err) {
		return b.explain("read", memoryPath, err)
	}
	var m memory
	if err == nil && json.Unmarshal(text, &m) == nil && m.Format == memoryFormat {
		quick.conditional = m.Conditional
	}
	if quick.conditional != nil {
		if _, err := quick.put(ctx, probe(), condition{}); err != nil {
			return b.explain("write", probePath, err)
		}
	}
	honoured, err := quick.honours(ctx)
	if err != nil {
		return err
	}
	if _, err := quick.removeKeys(ctx, []string{*b.key(probePath + ".none")}); err != nil {
		return b.explain("delete", probePath, err)
	}
	b.mu.Lock()
	b.conditional = &honoured
	b.mu.Unlock()
	if !honoured {
		b.warn()
	}
	return nil
}

func probe() object {
	return object{probePath, publish.Pointer, formats.Bytes([]byte("DistroPack tries here what this store can do.\n"))}
}

// honours reports whether the store decides conditional writes. It is tried where
// neither this Bucket nor the bucket's memory knows. The object stays: who takes it
// away makes another one's try fail.
func (b *Bucket) honours(ctx context.Context) (bool, error) {
	b.mu.Lock()
	known := b.conditional
	b.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	if _, err := b.put(ctx, probe(), condition{}); err != nil {
		return false, b.explain("write", probePath, err)
	}
	honoured := true
	for _, c := range []condition{{none: true}, {match: `"00000000000000000000000000000000"`}} {
		_, err := b.put(ctx, probe(), c)
		switch s := statusOf(err); {
		case isRefused(err):
		case err == nil, s == http.StatusNotImplemented, s == http.StatusBadRequest:
			honoured = false
		default:
			return false, b.explain("write", probePath, err)
		}
	}
	b.mu.Lock()
	b.conditional = &honoured
	b.mu.Unlock()
	return honoured, nil
}

// warn says once what a store without conditional writes asks of its users.
func (b *Bucket) warn() {
	b.mu.Lock()
	said := b.warned
	b.warned = true
	b.mu.Unlock()
	if !said {
		b.o.Say(fmt.Sprintf("bucket %s: %s ignores conditional writes: make sure that only one publish runs at a time", b.o.Bucket, b.host))
	}
}
