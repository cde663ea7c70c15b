package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"pecrawler/lab"
)

// labCmd serves the test web until it is stopped.
func labCmd(ctx context.Context, e env, args []string) error {
	o, rest, err := parse(e, "lab", forServe, args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usage("lab takes no arguments, but has %q", rest)
	}
	listen := ""
	if o.set["listen"] {
		listen = o.listen
	}
	web, ca, err := startLab(lab.Config{Listen: listen, Log: o.logger(e.stderr)}, filepath.Join(os.TempDir(), "pecrawler-lab-ca.pem"))
	if err != nil {
		return err
	}
	defer web.Close()
	fmt.Fprintf(e.stdout, `The test web: %d sites with known truth.

  List of the sites      %s/
  Sweep it               curl -s %[2]s/sites.csv > lab.csv && pecrawler sweep --proxy %[2]s --ca %[3]s lab.csv
  What must come out     %[2]s/truth.json

It runs until Ctrl-C.
`, len(web.Sites()), web.URL(), ca)
	<-ctx.Done()
	return nil
}
