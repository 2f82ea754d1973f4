package browsertest

import (
	_ "embed"
	"fmt"
	"os"
)

//go:embed look.js
var look string

// Flaws are what keeps people from using the page as it is shown: texts whose contrast
// is below 4.5:1 (WCAG 2.2, level AA), controls without a name or too small to hit, a
// page without language, title or order of headings, parts that scroll and cannot be
// reached by keys, content that is wider than the screen (of Device). Folds are open
// meanwhile.
//
// If AXE names a file with axe-core (axe.min.js of that npm package), its serious and
// critical findings are among them.
func (b *Browser) Flaws() (flaws []string) {
	b.t.Helper()
	b.Eval(`window.folds = [...document.querySelectorAll("details")].map(d => { const was = d.open; d.open = true; return () => { d.open = was; }; }); 0`, nil)
	defer b.Eval(`window.folds.forEach(close => close())`, nil)
	b.Eval(fmt.Sprintf("%s(%d)", look, b.width), &flaws)
	file := os.Getenv("AXE")
	if file == "" {
		return flaws
	}
	axe, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Eval(string(axe)+";0", nil)
	var found []string
	b.Eval(`axe.run({resultTypes: ["violations"]}).then(r => r.violations.filter(v => v.impact === "serious" || v.impact === "critical").map(v => "axe: " + v.id + ": " + v.help + ": " + v.nodes.map(n => n.html).slice(0, 3).join(" | ")))`, &found)
	return append(flaws, found...)
}
