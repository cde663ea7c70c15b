package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"

	"pecrawler/store"
)

// auditCmd checks or writes out the audit log of a data folder.
func auditCmd(ctx context.Context, e env, args []string) error {
	var head string
	o, rest, err := parseWith(e, "audit", forData, args, func(fs *flag.FlagSet) {
		fs.StringVar(&head, "head", "", "`hash` of an entry that was noted earlier: verify tells whether the log still has it")
	})
	if err != nil {
		return err
	}
	if len(rest) != 1 || rest[0] != "verify" && rest[0] != "export" {
		return usage("say verify or export")
	}
	st, err := existingStore(ctx, o)
	if err != nil {
		return err
	}
	defer st.Close()
	if rest[0] == "export" {
		enc := json.NewEncoder(e.stdout)
		enc.SetEscapeHTML(false)
		return st.AuditEach(ctx, func(entry store.Entry) error { return enc.Encode(entry) })
	}
	n, last, err := st.VerifyAudit(ctx)
	if err != nil {
		return err
	}
	if head != "" {
		found := errors.New("found")
		err := st.AuditEach(ctx, func(entry store.Entry) error {
			if entry.Hash == head {
				return found
			}
			return nil
		})
		if err == nil {
			return fmt.Errorf("no entry has the hash %s: the newest entries were cut off, or this is another log", head)
		}
		if !errors.Is(err, found) {
			return err
		}
	}
	fmt.Fprintf(e.stdout, "%d entries, all as they were written.\n", n)
	if n > 0 {
		fmt.Fprintf(e.stdout, "Head %s\nNote it elsewhere: audit verify --head tells later whether entries up to here were cut off.\n", last)
	}
	return nil
}
