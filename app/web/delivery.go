package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/distropack/distropack/app/store"
)

type deliveryRow struct {
	GUID, Event string
	Path        string
	State       state
	Note        string
	Received    moment
	Tries       int
}

type deliveriesView struct {
	List    []deliveryRow
	States  []choice
	Older   string
	Account string // "": of all
}

// choice is one way to see a list.
type choice struct {
	Text, Link string
	Current    bool
}

type deliveryView struct {
	deliveryRow
	Body   string
	Cut    bool
	Again  string // where the button posts
	Allows bool   // it is settled: it can be handled again
}

func newDeliveryRow(d *store.Delivery, list string) deliveryRow {
	event := d.Event
	if d.Action != "" {
		event += "." + d.Action
	}
	return deliveryRow{GUID: clean(d.GUID), Event: clean(event), Path: list + "/" + url.PathEscape(d.GUID), State: stateOf(d.State), Note: clean(d.Note), Received: at(d.Received), Tries: d.Tries}
}

// deliveriesAt is where the list of the visit's deliveries is.
func (v *visit) deliveriesAt() string {
	if v.installation == nil {
		return "/admin/deliveries"
	}
	return "/installations/" + itoa(v.installation.ID) + "/deliveries"
}

func (s *Site) deliveriesPage(w http.ResponseWriter, r *http.Request, v *visit) error {
	q := r.URL.Query()
	f := store.DeliveryFilter{State: store.State(q.Get("state")), Before: q.Get("before"), Limit: perPage + 1}
	p := page{Title: "Deliveries"}
	var view deliveriesView
	if v.installation != nil {
		f.Installation = v.installation.ID
		view.Account = clean(v.installation.Account)
		p.Crumbs = []crumb{s.crumbOf(v.installation)}
	} else {
		p.Crumbs = []crumb{{"Administration", "/admin"}}
	}
	known := false
	for _, c := range []struct{ text, state string }{{"All", ""}, {"Failed", "failed"}, {"Waiting", "waiting"}, {"Done", "done"}, {"Ignored", "ignored"}} {
		link := v.deliveriesAt()
		if c.state != "" {
			link += "?state=" + c.state
		}
		view.States = append(view.States, choice{c.text, link, c.state == string(f.State)})
		known = known || c.state == string(f.State)
	}
	if !known {
		return bad("There is no such state.", nil)
	}
	ds, err := s.o.Store.Deliveries(r.Context(), f)
	if err != nil {
		return err
	}
	if len(ds) > perPage {
		ds = ds[:perPage]
		view.Older = "?" + url.Values{"state": {string(f.State)}, "before": {ds[perPage-1].GUID}}.Encode()
	}
	for _, d := range ds {
		view.List = append(view.List, newDeliveryRow(d, v.deliveriesAt()))
	}
	p.Data = view
	s.render(w, r, v, http.StatusOK, "deliveries", &p)
	return nil
}

// shownBody is how much of a payload a page shows.
const shownBody = 200 << 10

func (s *Site) deliveryPage(w http.ResponseWriter, r *http.Request, v *visit) error {
	d := v.delivery
	view := deliveryView{deliveryRow: newDeliveryRow(d, v.deliveriesAt()), Allows: !open(d.State)}
	view.Again = view.Path + "/redeliver"
	body := d.Body
	var indented bytes.Buffer
	if len(body) <= 4*shownBody && json.Indent(&indented, body, "", "  ") == nil {
		body = indented.Bytes()
	}
	if len(body) > shownBody {
		body, view.Cut = body[:shownBody], true
	}
	view.Body = cleanLines(string(body))
	p := page{Title: "Delivery " + view.Event, Data: view}
	if v.installation != nil {
		p.Crumbs = []crumb{s.crumbOf(v.installation)}
	} else {
		p.Crumbs = []crumb{{"Administration", "/admin"}}
	}
	p.Crumbs = append(p.Crumbs, crumb{"Deliveries", v.deliveriesAt()})
	s.render(w, r, v, http.StatusOK, "delivery", &p)
	return nil
}

func (s *Site) redeliver(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := s.o.Actions.Redeliver(r.Context(), v.by(), v.delivery.GUID); err != nil {
		return err
	}
	return back(w, r, v.deliveriesAt()+"/"+url.PathEscape(v.delivery.GUID), "redeliver")
}
