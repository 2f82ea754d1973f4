package app

import (
	"context"
	"errors"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/web"
)

// actions are those of people and programs.
type actions struct {
	*later
	store *store.Store
	wake  func()
}

var _ web.Actions = (*actions)(nil)

func (a *actions) Redeliver(ctx context.Context, by, guid string) error {
	d, err := a.store.Delivery(ctx, guid)
	if errors.Is(err, store.ErrNotFound) {
		return &web.Refusal{Text: "This delivery is not there any more."}
	}
	if err != nil {
		return err
	}
	switch {
	case d.State.Open():
		return &web.Refusal{Text: "This delivery is being handled already."}
	case len(d.Body) == 0:
		return &web.Refusal{Text: "This delivery was ignored, and its content was not kept: have GitHub send it again."}
	}
	if err := a.store.SettleDelivery(ctx, guid, store.Waiting, "handled again for "+by); err != nil {
		return err
	}
	a.wake()
	return nil
}
