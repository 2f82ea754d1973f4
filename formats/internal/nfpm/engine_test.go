package nfpm_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/deb"
	"github.com/distropack/distropack/formats/rpm"
)

type section string

func (s section) Decode(v any) error {
	switch o := v.(type) {
	case *deb.Options:
		o.Engine = string(s)
	case *rpm.Options:
		o.Engine = string(s)
	}
	return nil
}

func TestNFPMAsEngineGivesPackagesWeReadBack(t *testing.T) {
	spec := &formats.Spec{Name: "hello", Version: "1.2.0", Time: time.Unix(1780000000, 0), Summary: "Greets", Maintainer: "Ann <ann@example.org>", License: "MIT"}
	files := []formats.File{{Path: "/usr/bin/hello", Type: formats.Regular, Mode: 0o755, Content: formats.Bytes([]byte("#!/bin/sh\n"))}}
	for _, kind := range []formats.Kind{deb.Kind(), rpm.Kind()} {
		t.Run(kind.Name, func(t *testing.T) {
			f, err := kind.New(section("nfpm"), formats.Env{})
			if err != nil {
				t.Fatal(err)
			}
			p := formats.Platform{OS: "linux", Arch: "amd64"}
			id, err := f.Identify(spec, p)
			if err != nil {
				t.Fatal(err)
			}
			write := func(spec *formats.Spec) ([]byte, error) {
				var b bytes.Buffer
				err := f.Write(context.Background(), &b, spec, p, files)
				return b.Bytes(), err
			}
			a, err := write(spec)
			if err != nil {
				t.Fatal(err)
			}
			m, err := f.Describe(context.Background(), bytes.NewReader(a), int64(len(a)))
			if err != nil {
				t.Fatal(err)
			}
			if m.Name != id.Name || m.Version != id.Version || m.Arch != id.Arch {
				t.Errorf("read back %s %s %s, want %+v", m.Name, m.Version, m.Arch, id)
			}
			if b, err := write(spec); err != nil || !bytes.Equal(a, b) {
				t.Errorf("the second package differs: %v", err)
			}
			with := *spec
			with.Services = []formats.Service{{Unit: "hello.service"}}
			if _, err := write(&with); err == nil || !strings.Contains(err.Error(), "engine nfpm knows no services: write their handling into scripts") {
				t.Errorf("services: %v", err)
			}
			with.Services, with.PreDepends = nil, []string{"shadow"}
			const refused = "engine nfpm knows no predepends for rpm: leave engine out"
			if _, err := write(&with); kind.Name == "rpm" && (err == nil || err.Error() != refused) || kind.Name == "deb" && err != nil {
				t.Errorf("predepends: %v", err)
			}
			const unknown = `engine "other": distropack and nfpm are known`
			if _, err := kind.New(section("other"), formats.Env{}); err == nil || err.Error() != unknown {
				t.Errorf("got %v, want %s", err, unknown)
			}
		})
	}
}
