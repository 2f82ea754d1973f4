package githubtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kept is how long GitHub lists deliveries and delivers them again.
const kept = 3 * 24 * time.Hour

func (d *delivery) json() map[string]any {
	v := map[string]any{"id": d.ID, "guid": d.GUID, "delivered_at": d.Delivered.Format(time.RFC3339), "redelivery": d.Redelivery, "duration": 0.03, "status": d.Status, "status_code": d.StatusCode, "event": d.Event,
		"action": nil, "installation_id": nil, "repository_id": nil}
	if d.Action != "" {
		v["action"] = d.Action
	}
	if d.Installation != 0 {
		v["installation_id"] = d.Installation
	}
	if d.Repository != 0 {
		v["repository_id"] = d.Repository
	}
	return v
}

// listDeliveries lists by a cursor, newest first: a page's end is where the next
// begins, whatever came meanwhile.
func listDeliveries(c *call) answer {
	q := c.r.URL.Query()
	size := max(1, min(number(q.Get("per_page"), 30), c.s.o.PageSize))
	from, _ := strconv.ParseInt(strings.TrimPrefix(q.Get("cursor"), "v1_"), 10, 64) // 0 where there is none
	var all []*delivery
	for _, d := range slices.Backward(c.app.deliveries) {
		if (from == 0 || d.ID <= from) && c.s.now().Before(d.Delivered.Add(kept)) {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b *delivery) int { return int(b.ID - a.ID) })
	shown := []any{}
	for _, d := range all[:min(size, len(all))] {
		shown = append(shown, d.json())
	}
	a := ok(shown)
	if len(all) > size {
		q.Set("cursor", fmt.Sprintf("v1_%d", all[size].ID))
		a.header = http.Header{"Link": {fmt.Sprintf(`<%sapp/hook/deliveries?%s>; rel="next"`, c.s.URL, q.Encode())}}
	}
	return a
}

func (c *call) delivery() *delivery {
	for _, d := range c.app.deliveries {
		if fmt.Sprint(d.ID) == c.params["delivery_id"] && c.s.now().Before(d.Delivered.Add(kept)) {
			return d
		}
	}
	return nil
}

func getDelivery(c *call) answer {
	d := c.delivery()
	if d == nil {
		return notFound()
	}
	v := d.json()
	var body any
	if err := json.Unmarshal(d.Body, &body); err != nil {
		c.s.t.Errorf("delivery %d: %v", d.ID, err)
	}
	v["url"], v["request"], v["response"] = d.app.hook, map[string]any{"headers": map[string]any{"X-GitHub-Delivery": d.GUID}, "payload": body}, map[string]any{"headers": nil, "payload": nil}
	return ok(v)
}

// redeliver sends a delivery again, with its GUID, after the answer.
func redeliver(c *call) answer {
	d := c.delivery()
	if d == nil {
		return notFound()
	}
	again := &delivery{d.Delivery, d.app}
	again.ID, again.Redelivery = c.s.nextID(), true
	c.s.later([]*delivery{again})
	return answer{status: http.StatusAccepted, body: map[string]any{}}
}
