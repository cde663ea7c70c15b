// Command flagged is an example of a program that is not part of pecrawler and
// takes what pecrawler flags: it reads the stream FLAGGED by the consumer
// "review" and writes a CSV line for each flagged site. It knows nothing but the
// schema in docs/schema, and NATS.
//
//	flagged -nats nats://127.0.0.1:4222 >> flagged.csv
//
// A message is acknowledged after its line is written. So a line may come twice
// after a crash, and none is lost; the sweep, the site and the number of visits
// tell a second one from the first.
package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Site is what this program needs of the document; the schema has more.
type Site struct {
	Schema   int      `json:"schema"`
	Sweep    string   `json:"sweep"`
	Site     string   `json:"site"`
	Visits   int      `json:"visits"`
	Agreeing int      `json:"agreeing"`
	Bundles  []string `json:"bundles"`
	Findings []struct {
		Rule    string   `json:"rule"`
		Outcome string   `json:"outcome"`
		Cites   []string `json:"cites"`
	} `json:"findings"`
}

// known is the version of the document that this program was written for. One
// of a later version is left where it is, for a later version of this program.
const known = 1

func main() {
	url := flag.String("nats", "nats://127.0.0.1:4222", "`URL` of the cluster")
	nkey := flag.String("nkey", "", "`file` with the seed of the reviewer's key")
	ca := flag.String("ca", "", "certificate authority of the cluster, PEM `file`")
	cert := flag.String("cert", "", "own certificate, PEM `file`")
	key := flag.String("key", "", "its key, PEM `file`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	opts := []nats.Option{nats.Name("flagged"), nats.CustomInboxPrefix("_INBOX_reviewer"), nats.MaxReconnects(-1)}
	if *nkey != "" {
		o, err := nats.NkeyOptionFromSeed(*nkey)
		if err != nil {
			log.Fatal(err)
		}
		opts = append(opts, o)
	}
	if *ca != "" {
		opts = append(opts, nats.RootCAs(*ca))
	}
	if *cert != "" {
		opts = append(opts, nats.ClientCert(*cert, *key))
	}
	nc, err := nats.Connect(*url, opts...)
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	if err := follow(ctx, nc, os.Stdout); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

// follow writes a line for each flagged site until the context ends.
func follow(ctx context.Context, nc *nats.Conn, w io.Writer) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	cons, err := js.Consumer(ctx, "FLAGGED", "review")
	if err != nil {
		return fmt.Errorf("the consumer of flagged sites: %w", err)
	}
	for ctx.Err() == nil {
		msg, err := cons.Next(jetstream.FetchMaxWait(time.Second))
		if err != nil {
			continue // nothing came, or the connection is being made again
		}
		// Before the document is read: one of a later version need not look like this.
		if v, err := strconv.Atoi(msg.Headers().Get("Pecrawler-Schema")); err == nil && v > known {
			msg.NakWithDelay(time.Minute)
			continue
		}
		var s Site
		if err := json.Unmarshal(msg.Data(), &s); err != nil {
			msg.TermWithReason("not a verdict")
			continue
		}
		if err := line(w, s); err != nil {
			return err
		}
		if err := msg.DoubleAck(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func line(w io.Writer, s Site) error {
	var failed []string
	for _, f := range s.Findings {
		if f.Outcome == "fail" {
			failed = append(failed, f.Rule+" ("+strings.Join(f.Cites, ", ")+")")
		}
	}
	c := csv.NewWriter(w)
	err := c.Write([]string{plain(s.Sweep), plain(s.Site), strconv.Itoa(s.Visits), strconv.Itoa(s.Agreeing), plain(strings.Join(failed, "; ")), plain(strings.Join(s.Bundles, " "))})
	c.Flush()
	return errors.Join(err, c.Error())
}

// plain keeps a spreadsheet from taking a field for a formula: what was found on
// a page is never to be trusted.
func plain(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
