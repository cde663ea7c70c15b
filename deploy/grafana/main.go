// Command grafana writes the dashboards into its folder dashboards/. It is a
// module of its own, so that the program does not depend on Grafana's SDK:
//
//	cd deploy/grafana && go run .
//	go run . http://127.0.0.1:9090 [2026-01-31T12:00:00Z]   what every panel shows, at that Prometheus: docs/dashboards.md
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// panel is a graph. What it shows is said in its description, for who sees it
// for the first time at night.
type panel struct {
	title, about, unit string
	queries            []query
}

type query struct{ expr, legend string }

type board struct {
	uid, title, about string
	panels            []panel
}

func main() {
	if len(os.Args) > 1 {
		end := time.Now()
		if len(os.Args) > 2 {
			var err error
			if end, err = time.Parse(time.RFC3339, os.Args[2]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(2)
			}
		}
		fmt.Printf("# What the dashboards show\n\n"+
			"Made by `make compose-check` of a fleet in containers that sweeps the test web, on %s: each panel's expression, put to the fleet's Prometheus over ten minutes in steps of 15 s "+
			"(`$__rate_interval` is a minute). Nothing here was looked at in Grafana, which was not to be had. Units are those of the panel; names of series are as in its legend.\n\n", end.UTC().Format("2 January 2006"))
		asked, faults := ask(os.Stdout, os.Args[1], end)
		fmt.Fprintf(os.Stderr, "%d expressions, %d without data or wrong\n%s", asked, len(faults), strings.Join(append(faults, ""), "\n"))
		if len(faults) > 0 {
			os.Exit(1)
		}
		return
	}
	for _, b := range boards() {
		if err := b.write(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func (b board) write() error {
	source := common.DataSourceRef{Uid: new("prometheus"), Type: new("prometheus")}
	d := dashboard.NewDashboardBuilder("pecrawler: "+b.title).Uid("pecrawler-"+b.uid).Description(b.about).
		Tags([]string{"pecrawler"}).Readonly().Refresh("30s").Time("now-3h", "now").Timezone("browser").
		Tooltip(dashboard.DashboardCursorSyncCrosshair)
	for _, p := range b.panels {
		g := timeseries.NewPanelBuilder().Title(p.title).Description(p.about).Unit(p.unit).Datasource(source).
			Span(12).Height(8).FillOpacity(10).LineWidth(1).Min(0).
			Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeTable).Placement(common.LegendPlacementRight).Calcs([]string{"lastNotNull", "max"}).ShowLegend(true))
		for i, q := range p.queries {
			g.WithTarget(prometheus.NewDataqueryBuilder().Expr(q.expr).LegendFormat(q.legend).RefId(string(rune('A' + i))).Exemplar(true).Datasource(source))
		}
		d.WithPanel(g)
	}
	built, err := d.Build()
	if err != nil {
		return fmt.Errorf("build %s: %w", b.uid, err)
	}
	raw, err := json.MarshalIndent(built, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join("dashboards", b.uid+".json"), append(raw, '\n'), 0o644)
}
