package github

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Delivery is one attempt of GitHub to deliver a webhook. A redelivery is another
// one, with the same GUID.
type Delivery struct {
	ID           int64     `json:"id"`
	GUID         string    `json:"guid"` // X-GitHub-Delivery
	Event        string    `json:"event"`
	Action       string    `json:"action"`
	Delivered    time.Time `json:"delivered_at"`
	Redelivery   bool      `json:"redelivery"`
	Status       string    `json:"status"`      // in GitHub's words
	StatusCode   int       `json:"status_code"` // of our answer; 0 and some of 500 and above: none came
	Installation int64     `json:"installation_id"`
	Repository   int64     `json:"repository_id"`
}

// OK reports whether the delivery was accepted.
func (d *Delivery) OK() bool { return d.StatusCode >= 200 && d.StatusCode < 300 }

// Deliveries returns the App's deliveries from since on, newest first. GitHub keeps
// them for some days.
func (a *App) Deliveries(ctx context.Context, since time.Time) ([]Delivery, error) {
	var all, page []Delivery
	old := false
	take := func() {
		for _, d := range page {
			if d.Delivered.Before(since) {
				old = true
				continue
			}
			all = append(all, d)
		}
		page = nil
	}
	q := request{what: fmt.Sprintf("deliveries of App %d", a.id), path: "app/hook/deliveries", asApp: true}
	if err := a.as.pages(ctx, q, func() any { return &page }, func() bool { take(); return !old }); err != nil {
		return nil, err
	}
	take()
	return all, nil
}

// Redeliver asks GitHub to deliver again; id is a Delivery's. It will come with the
// same GUID, soon after. GitHub refuses it for deliveries that are some days old.
func (a *App) Redeliver(ctx context.Context, id int64) error {
	// Repeating is harmless: what comes twice has one GUID.
	q := request{what: fmt.Sprintf("delivery %d", id), method: http.MethodPost, path: fmt.Sprintf("app/hook/deliveries/%d/attempts", id), asApp: true}
	_, err := a.as.call(ctx, q, nil)
	return err
}
