package sandbox

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"
)

var probed struct {
	sync.Mutex
	kind string
}

// Probe says which kind works here, by trying: Bubblewrap where it is installed,
// else Namespaces. Where neither works the error says what to do. What was found
// is kept.
func Probe(ctx context.Context) (kind string, err error) {
	probed.Lock()
	defer probed.Unlock()
	if probed.kind != "" {
		return probed.kind, nil
	}
	bwrap := Try(ctx, Bubblewrap)
	if bwrap == nil {
		probed.kind = Bubblewrap
		return Bubblewrap, nil
	}
	own := Try(ctx, Namespaces)
	if own == nil {
		probed.kind = Namespaces
		return Namespaces, nil
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return "", fmt.Errorf("no sandbox works here, so no package can be made:\nbubblewrap: %w\nnamespaces: %w\n%s", bwrap, own, advice())
}

// Try runs a program that does nothing in a sandbox of the kind.
func Try(ctx context.Context, kind string) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	return Run(ctx, Spec{Kind: kind, Exe: exe, Args: []string{nothing}, Limits: Limits{Deadline: 30 * time.Second, Processes: 1 << 10}})
}

// nothing is the one argument of the program as it does nothing.
const nothing = "-distropack-sandbox-nothing"
