package app

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/distropack/distropack/app/vault"
)

// A saved payload comes to a server over the network, signed, or by way of the database.
func TestReplay(t *testing.T) {
	w := newWorld(t)
	body := w.ping().Body
	ctx := t.Context()
	var m *Mistake
	if _, err := Replay(ctx, w.dir, "", Replayed{Event: "ping", Body: body}, nil); !errors.As(err, &m) || !strings.Contains(err.Error(), "there is no database") {
		t.Errorf("without a server's folder: %v", err)
	}
	if _, err := os.Stat(w.dir + "/app.db"); err == nil {
		t.Error("it made a database")
	}
	r := w.start()
	for _, c := range []struct {
		name string
		p    Replayed
		want string
		err  string
	}{
		{"to the server", Replayed{To: r.url, Secret: w.double.WebhookSecret + "\nold", GUID: "one"}, `{"delivery":"one","state":"waiting"}`, ""},
		{"again", Replayed{To: r.url + "/", Secret: w.double.WebhookSecret, GUID: "one"}, `{"delivery":"one","state":"known"}`, ""},
		{"into the database", Replayed{GUID: "two"}, `{"delivery":"two","state":"waiting"}`, ""},
		{"with the wrong secret", Replayed{To: r.url, Secret: "x"}, "", "the server answers 401: "},
		{"without an App", Replayed{To: r.url}, "", "the GitHub App is not set up yet, so there is no webhook secret to sign with"},
		{"to nobody", Replayed{To: "http://127.0.0.1:1", Secret: "x"}, "", "connection refused"},
		{"to nowhere", Replayed{To: "http://[", Secret: "x"}, "", `"http://[" is no address of a server`},
	} {
		c.p.Event, c.p.Body = "ping", body
		got, err := Replay(ctx, w.dir, "", c.p, nil)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v; want %q, %q", c.name, got, err, c.want, c.err)
		}
	}
	if _, err := Replay(ctx, w.dir, "", Replayed{Event: "push", Body: []byte("{")}, nil); err == nil || !strings.Contains(err.Error(), "the server answers 400") {
		t.Errorf("what is no JSON: %v", err)
	}
	for _, guid := range []string{"one", "two"} {
		until(t, guid+" is handled", func() bool {
			d, err := r.store.Delivery(ctx, guid)
			return err == nil && !d.State.Open()
		})
	}
	// The secret that the set-up has kept.
	blob, err := r.sealer.Seal(appBinding, []byte(`{"id":1,"webhook_secret":"`+w.double.WebhookSecret+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.store.PutSealed(ctx, sealedRow(appBinding, blob)); err != nil {
		t.Fatal(err)
	}
	if got, err := Replay(ctx, w.dir, "", Replayed{Event: "ping", Body: body, To: r.url, GUID: "three"}, nil); err != nil || !strings.Contains(got, `"waiting"`) {
		t.Errorf("%q, %v", got, err)
	}
	if err := os.Remove(ServerIdentity(w.dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := Replay(ctx, w.dir, "", Replayed{Event: "ping", Body: body, To: r.url}, nil); !errors.Is(err, vault.ErrSealed) {
		t.Errorf("without the identity: %v", err)
	}
}
