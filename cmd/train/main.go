// Command train makes what the classifier was taught, so that anyone can make
// it again:
//
//	go run ./cmd/train fetch      npm packages of packages.tsv, into a cache that git does not see
//	go run ./cmd/train controls   the model that reads the texts of controls, from them and from grammar/
//	go run ./cmd/train lists      the tables of names and hosts, from them
//	go run ./cmd/train evaluate   docs/accuracy.md, docs/accuracy.json and docs/model-card.md
//
// The same packages give the same bytes. What is made is part of the
// repository, so that building it needs none of this.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cache := flag.String("cache", ".train", "`folder` for the packages")
	var in inputs
	flag.StringVar(&in.data, "data", "", "evaluate: `folder` with labelled sets of others, which are no part of the repository")
	flag.StringVar(&in.sweep, "sweep", "", "evaluate: data `folder` of a sweep of the test web, or a folder of several; what was sealed there is read again")
	flag.StringVar(&in.decisions, "decisions", "", "evaluate: `file` of pecrawler report --decisions")
	flag.Parse()
	name := flag.Arg(0)
	if flag.NArg() > 1 {
		flag.CommandLine.Parse(flag.Args()[1:]) // flags may stand after the name
	}
	var err error
	switch name {
	case "fetch":
		err = fetch(ctx, *cache)
	case "controls":
		err = trainControls(ctx, *cache)
	case "lists":
		err = makeLists(*cache)
	case "evaluate":
		err = evaluate(ctx, *cache, in)
	default:
		err = errors.New("want fetch, controls, lists or evaluate")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "train:", err)
		os.Exit(1)
	}
}
