package engine

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite"
	"github.com/jackc/pgx/v5/pgxpool"
)

// memo is DBOS: it remembers what steps returned. Which job runs where is not its
// business: it starts what it is told to. So its own recovery finds nothing, as its
// executors have a name of one process only, and its only queue is of this process.
type memo struct {
	ctx     dbos.Context
	queue   string
	version string
	fn      dbos.Workflow[string, string]
}

// performer does the job with that id; what it returns is of no interest.
type performer func(ctx dbos.Context, id string) error

// outcome is what a step came to.
type outcome struct {
	Value   json.RawMessage `json:"value,omitempty"`
	Failure *failure        `json:"failure,omitempty"`
}

// queues are named by node and run.
func queuesOf(node string) string { return "node/" + node + "/" }

// newMemo takes over the pool or db, one of which is nil; they are closed by close, and
// the caller's if it fails.
func newMemo(ctx context.Context, o Options, run string, perform performer, pool *pgxpool.Pool, db *sql.DB) (*memo, error) {
	// They would take precedence over what is pinned here, and no job would go on.
	for _, name := range []string{"DBOS__APPVERSION", "DBOS__VMID", "DBOS__CLOUD"} {
		if os.Getenv(name) != "" {
			return nil, fmt.Errorf("%s is set in the environment, and would change which jobs are ours: unset it", name)
		}
	}
	timeout := time.Minute
	if end, ok := ctx.Deadline(); ok {
		timeout = max(time.Until(end), time.Millisecond)
	}
	// Not the caller's context: were it cancelled, DBOS would take that for a wish to
	// cancel each job for good.
	c, err := dbos.NewContext(context.Background(), dbos.Config{
		AppName: "distropack", SystemDBPool: pool, SQLiteSystemDB: db, DatabaseSchema: o.Schema,
		Logger: slog.New(quiet{o.Log.Handler()}), ApplicationVersion: o.Version, ExecutorID: o.Node + "/" + run,
		SchedulerPollingInterval: 24 * time.Hour, // there are no schedules
		SystemDBStartupTimeout:   timeout,
	})
	if err != nil {
		return nil, err
	}
	m := &memo{ctx: c, queue: queuesOf(o.Node) + run, version: o.Version}
	m.fn = func(ctx dbos.Context, _ string) (string, error) {
		id, err := dbos.GetWorkflowID(ctx)
		if err != nil {
			return "", err
		}
		return "", perform(ctx, id)
	}
	dbos.RegisterWorkflow(c, m.fn, dbos.WithWorkflowName("job"))
	// Resuming is all it is for, so it may be twice as slow as the loop.
	if _, err := dbos.RegisterQueue(c, m.queue, dbos.WithQueueBasePollingInterval(2*o.Poll), dbos.WithQueueOnConflict(dbos.QueueConflictAlwaysUpdate)); err != nil {
		return nil, errors.Join(err, dbos.Shutdown(c, time.Second))
	}
	dbos.ListenQueues(c, m.queue)
	return m, nil
}

func (m *memo) launch() error { return dbos.Launch(m.ctx) }

// close ends what still runs without a word to the database.
func (m *memo) close(ctx context.Context) error {
	err := dbos.DeleteQueue(dbos.From(m.ctx, ctx), m.queue)
	return errors.Join(err, dbos.Shutdown(m.ctx, 2*time.Second))
}

// forget removes the queues of a node that is gone.
func (m *memo) forget(ctx context.Context, node string) error {
	c := dbos.From(m.ctx, ctx)
	all, err := dbos.ListQueues(c)
	if err != nil {
		return err
	}
	for _, q := range all {
		if strings.HasPrefix(q.GetName(), queuesOf(node)) && q.GetName() != m.queue {
			if err := dbos.DeleteQueue(c, q.GetName()); err != nil {
				return err
			}
		}
	}
	return nil
}

// errClosed says that DBOS holds the job for done, though the table does not.
var errClosed = errors.New("its steps are closed: restart it")

// start calls the performer for the job, soon and at most once. It does not wait for it.
func (m *memo) start(id string, fresh bool) error {
	if !fresh {
		_, err := dbos.ResumeWorkflow[string](m.ctx, id, dbos.WithResumeQueue(m.queue))
		if !errors.Is(err, dbos.ErrNonExistentWorkflow) {
			if err == nil {
				err = m.resumable(id)
			}
			return err
		}
	}
	_, err := dbos.RunWorkflow(m.ctx, m.fn, "", dbos.WithWorkflowID(id))
	return err
}

func (m *memo) resumable(id string) error {
	all, err := dbos.ListWorkflows(m.ctx, dbos.WithFilterWorkflowIDs(id), dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil || len(all) == 0 {
		return err
	}
	if s := all[0].Status; s == dbos.WorkflowStatusSuccess || s == dbos.WorkflowStatusError {
		return errClosed
	}
	return nil
}

// step returns what f returned when it was first called, as its JSON says; f is called
// if that is not known. f may leave by panic(leaving{…}), and is forgotten then.
func (m *memo) step(ctx dbos.Context, name string, f func() outcome) (out outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			l, ok := p.(leaving)
			if !ok {
				panic(p) // of DBOS: f returns its own as a failure
			}
			err = l.why
		}
	}()
	return dbos.RunAsStep(ctx, func(context.Context) (outcome, error) { return f(), nil }, dbos.WithStepName(name))
}

// leaving is what a step panics with to be forgotten.
type leaving struct{ why error }

// changed says whether the steps are other ones than those recorded.
func changed(err error) bool {
	return errors.Is(err, &dbos.Error{Code: dbos.ErrorCodeUnexpectedStep})
}

// pause lets the performer return while its steps are kept for a later start.
func (m *memo) pause(id string) error { return dbos.CancelWorkflow(m.ctx, id) }

// StepInfo is a step that ended, well or not.
type StepInfo struct {
	Name           string
	Started, Ended time.Time
	Result         json.RawMessage // nil if it failed
	Err            error           // errors.Is works as for what Step returned
}

// steps are in their order; there are none before the job is begun.
func (m *memo) steps(ctx context.Context, id string, s sentinels) ([]StepInfo, error) {
	rows, err := dbos.GetWorkflowSteps(dbos.From(m.ctx, ctx), id, dbos.WithStepsLoadOutput(true))
	if err != nil {
		return nil, err
	}
	all := make([]StepInfo, len(rows))
	for i, row := range rows {
		var out outcome
		text, _ := row.Output.(string)
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			return nil, fmt.Errorf("step %d (%s): %w", row.StepID, row.StepName, err)
		}
		all[i] = StepInfo{row.StepName, row.StartedAt, row.CompletedAt, out.Value, s.error(out.Failure)}
		if out.Failure != nil {
			all[i].Result = nil
		}
	}
	return all, nil
}

// fork gives a new job the first steps of an old one. Nothing starts by it. It is no
// error if the new one is there already.
func (m *memo) fork(ctx context.Context, id, newID string, steps int) error {
	c := dbos.From(m.ctx, ctx)
	there := func() bool {
		all, err := dbos.ListWorkflows(c, dbos.WithFilterWorkflowIDs(newID))
		return err == nil && len(all) > 0
	}
	if there() {
		return nil
	}
	// Nobody listens to a queue of this name; start moves the job to one of a node.
	_, err := dbos.ForkWorkflow[string](c, dbos.ForkWorkflowInput{
		OriginalWorkflowID: id, ForkedWorkflowID: newID, StartStep: uint(steps), ApplicationVersion: m.version, QueueName: "restarted",
	})
	if errors.Is(err, dbos.ErrNonExistentWorkflow) || err != nil && there() {
		return nil // it was never begun, or others were faster
	}
	return err
}

// remove forgets the steps of jobs.
func (m *memo) remove(ctx context.Context, ids []string) error {
	return dbos.DeleteWorkflows(dbos.From(m.ctx, ctx), ids)
}

// quiet passes on errors only: what DBOS says besides is about what the engine does.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelError && q.Handler.Enabled(ctx, l)
}
func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }
func (q quiet) WithGroup(n string) slog.Handler      { return quiet{q.Handler.WithGroup(n)} }
