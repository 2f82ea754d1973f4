package app

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/hook"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/vault"
)

// Replayed is a payload that is sent once more.
type Replayed struct {
	Event  string
	GUID   string // "": a new one
	Body   []byte
	Secret string // "": that of the App in the data folder
	To     string // address of a server; "": it is filed here, where a server finds it
}

// Replay signs a saved payload and delivers it as GitHub would, and returns the answer. An
// answer that refuses it is an error.
func Replay(ctx context.Context, dir, database string, p Replayed, log *slog.Logger) (answer string, err error) {
	o := Options{Dir: dir, Database: database, Log: log}
	if err := o.check(); err != nil {
		return "", err
	}
	secret := strings.TrimSpace(strings.Split(p.Secret, "\n")[0])
	var s *store.Store
	if p.To == "" || secret == "" {
		if file, ok := databaseFile(o.Database); ok && !exists(file) {
			return "", noDatabase(file)
		}
		if s, err = store.Open(ctx, o.Database, store.Options{Log: o.Log}); err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
	}
	switch {
	case secret != "":
	case p.To == "":
		secret = rand.Text() // whoever may write into the database needs none
	default:
		sealer, err := vault.OpenSealer(ServerIdentity(o.Dir))
		if err != nil {
			return "", err
		}
		made, err := (&credentials{store: s, sealer: sealer}).kept(ctx)
		if errors.Is(err, errNoApp) {
			return "", mistake("%v, so there is no webhook secret to sign with: give one by DISTROPACK_APP_WEBHOOK_SECRET or --webhook-secret-file", err)
		}
		if err != nil {
			return "", err
		}
		secret = made.WebhookSecret
	}
	if p.GUID == "" {
		p.GUID = "replay-" + strings.ToLower(rand.Text()[:20])
	}
	to := p.To
	if to == "" {
		to = "http://replay.invalid"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(to, "/")+github.HookPath, bytes.NewReader(p.Body))
	if err != nil {
		return "", mistake("%q is no address of a server", p.To)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(p.Body)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "distropack-replay")
	r.Header.Set("X-GitHub-Event", p.Event)
	r.Header.Set("X-GitHub-Delivery", p.GUID)
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	var status int
	var text []byte
	if p.To == "" {
		in := answered{header: make(http.Header)}
		hook.Handler(hook.Options{Inbox: s, Log: o.Log, Secrets: func(context.Context) ([][]byte, error) { return [][]byte{[]byte(secret)}, nil }}).ServeHTTP(&in, r)
		status, text = in.status, in.body.Bytes()
	} else {
		resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(r)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		status = resp.StatusCode
		if text, err = io.ReadAll(io.LimitReader(resp.Body, 64<<10)); err != nil {
			return "", err
		}
	}
	answer = strings.TrimSpace(string(text))
	if status/100 != 2 {
		return "", fmt.Errorf("the server answers %d: %s", status, answer)
	}
	return answer, nil
}

// answered keeps an answer.
type answered struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answered) Header() http.Header         { return a.header }
func (a *answered) WriteHeader(status int)      { a.status = status }
func (a *answered) Write(b []byte) (int, error) { return a.body.Write(b) }
