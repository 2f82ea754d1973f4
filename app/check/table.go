package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/distropack/distropack/app/store"
)

// legTable has a row for each leg. Where they do not all fit, those that are done
// are left out first, and what is left out is counted.
func legTable(legs []*store.Leg, now time.Time) string {
	rows := make([]string, len(legs))
	for i, l := range legs {
		rows[i] = fmt.Sprintf("| %s %s | %s | %s | %s |\n", Plain(l.Kind, 40), Code(l.Name, 120), legState(l), size(l.Bytes), took(l.Started, l.Ended, now))
	}
	shown := fit(rows, maxTable, func(i int) int { return urgency(legs[i].State) })
	var b strings.Builder
	b.WriteString("| Part | State | Size | Time |\n| --- | --- | ---: | ---: |\n")
	hidden := map[string]int{}
	for i, row := range rows {
		if shown[i] {
			b.WriteString(row)
		} else {
			hidden[stateWord(legs[i].State)]++
		}
	}
	if len(hidden) > 0 {
		var parts []string
		total := 0
		for state, n := range hidden {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
			total += n
		}
		slices.Sort(parts)
		fmt.Fprintf(&b, "\n%s more did not fit in here: %s.\n", count(total, "part"), strings.Join(parts, ", "))
	}
	return b.String()
}

// fit chooses rows of at most so many bytes, those of the lowest rank first.
func fit(rows []string, most int, rank func(i int) int) []bool {
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return rank(a) - rank(b) })
	shown := make([]bool, len(rows))
	for _, i := range order {
		if most -= len(rows[i]); most < 0 {
			break
		}
		shown[i] = true
	}
	return shown
}

func urgency(s store.State) int {
	switch s {
	case store.Failed, store.ActionRequired:
		return 0
	case store.Running:
		return 1
	case store.Cancelled:
		return 2
	case store.Waiting:
		return 3
	}
	return 4
}

func legState(l *store.Leg) string {
	word := stateWord(l.State)
	switch {
	case l.State == store.Failed || l.State == store.ActionRequired:
		word = "**" + word + "**"
	case l.State == store.Running && l.M > 0:
		word += fmt.Sprintf(", %d of %d", l.N, l.M)
	}
	if l.Short != "" {
		word += ": " + Plain(l.Short, 300)
	}
	return word
}

// stateWord is a state for people.
func stateWord(s store.State) string {
	switch s {
	case store.Waiting, store.Running, store.Done, store.Failed, store.Cancelled:
		return string(s)
	case store.ActionRequired:
		return "needs a decision"
	case store.Ignored:
		return "left out"
	}
	return "unknown"
}

// warningList is a list below a heading; "" for none.
func warningList(warnings []string) string {
	if len(warnings) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n### Warnings\n\n")
	b.WriteString(bullets(warnings, maxWarnings, "warning"))
	return b.String()
}

// bullets is a list of sentences, each once, of at most so many bytes; what does
// not fit is counted.
func bullets(all []string, most int, one string) string {
	var b strings.Builder
	seen := make(map[string]bool)
	left := 0
	for _, text := range all {
		line := "- " + Plain(text, 500) + "\n"
		if seen[line] {
			continue
		}
		seen[line] = true
		if b.Len()+len(line) > most {
			left++
			continue
		}
		b.WriteString(line)
	}
	if left > 0 {
		fmt.Fprintf(&b, "\n%s more did not fit in here.\n", count(left, one))
	}
	return b.String()
}
