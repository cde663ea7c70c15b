package evidence_test

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pecrawler/evidence"
)

// bucket is as much of an S3 service as a vault asks for, in memory.
func bucket(t testing.TB) (where string) {
	t.Helper()
	var mu sync.Mutex
	objects := map[string][]byte{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		k := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/vault"), "/")
		data, there := objects[k]
		switch {
		case r.Method == http.MethodPut:
			if r.Header.Get("If-None-Match") == "*" && there {
				w.WriteHeader(http.StatusPreconditionFailed)
				return
			}
			raw, _ := io.ReadAll(r.Body)
			objects[k] = raw
		case r.Method == http.MethodGet && k == "":
			type object struct {
				Key          string
				LastModified string
				Size         int
			}
			var list struct {
				XMLName  xml.Name `xml:"ListBucketResult"`
				Contents []object
			}
			for name, data := range objects {
				if strings.HasPrefix(name, r.URL.Query().Get("prefix")) {
					list.Contents = append(list.Contents, object{name, time.Now().UTC().Format(time.RFC3339), len(data)})
				}
			}
			slices.SortFunc(list.Contents, func(a, b object) int { return strings.Compare(a.Key, b.Key) })
			xml.NewEncoder(w).Encode(list)
		case r.Method == http.MethodDelete:
			delete(objects, k)
			w.WriteHeader(http.StatusNoContent)
		case !there:
			w.WriteHeader(http.StatusNotFound)
			if r.Method == http.MethodGet {
				io.WriteString(w, "<Error><Code>NoSuchKey</Code></Error>")
			}
		default:
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			w.Write(data)
		}
	}))
	t.Cleanup(srv.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	return "s3://vault?region=eu-west-2&use_path_style=true&disable_https=true&request_checksum_calculation=when_required&endpoint=" + url.QueryEscape(srv.URL)
}

// vaults are a vault of each kind.
func vaults(t *testing.T, test func(t *testing.T, v *evidence.Vault)) {
	for name, where := range map[string]func(t *testing.T) string{
		"folder":  func(t *testing.T) string { return filepath.Join(t.TempDir(), "made here") },
		"file://": func(t *testing.T) string { return "file://" + t.TempDir() },
		"mem://":  func(*testing.T) string { return "mem://" },
		"s3://":   func(t *testing.T) string { return bucket(t) },
	} {
		t.Run(name, func(t *testing.T) {
			v, err := evidence.OpenVault(t.Context(), where(t))
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			test(t, v)
		})
	}
}

// What was written once stays as it is.
func TestWrittenOnce(t *testing.T) {
	vaults(t, func(t *testing.T, v *evidence.Vault) {
		if err := v.Reachable(t.Context()); err != nil {
			t.Error(err)
		}
		digest, err := evidence.Seal(t.Context(), v, draft(t))
		if err != nil {
			t.Fatal(err)
		}
		want, err := v.Bytes(t.Context(), digest)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := evidence.Put(t.Context(), v, digest, []byte("something else")); err != nil {
				t.Errorf("the same name again: %v", err)
			}
		}
		if got, err := v.Bytes(t.Context(), digest); err != nil || string(got) != string(want) {
			t.Errorf("the bundle was replaced: %d bytes, %v", len(got), err)
		}
		if _, err := v.Open(t.Context(), digest); err != nil {
			t.Error(err)
		}
	})
}

// fates expires a vault and returns what became of its bundles.
func fates(t *testing.T, v *evidence.Vault, before time.Time, keep string, dry bool) map[string]evidence.Fate {
	t.Helper()
	out := map[string]evidence.Fate{}
	err := v.Expire(t.Context(), before, func(*evidence.Bundle) string { return keep }, dry, func(f evidence.Fate) { out[f.Digest] = f })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestHoldAndExpire(t *testing.T) {
	vaults(t, func(t *testing.T, v *evidence.Vault) {
		digest, err := evidence.Seal(t.Context(), v, draft(t))
		if err != nil {
			t.Fatal(err)
		}
		later := time.Now().Add(time.Hour)
		if f := fates(t, v, time.Now().Add(-time.Hour), "", false); !f[digest].Newer || len(f) != 1 {
			t.Errorf("a new bundle: %+v", f)
		}
		if f := fates(t, v, later, "the site is flagged", false)[digest]; f.Removed || f.Why != "the site is flagged" {
			t.Errorf("a needed bundle: %+v", f)
		}
		if err := v.Note(t.Context(), digest, evidence.ActHold, "appeal 7"); err != nil {
			t.Fatal(err)
		}
		if f := fates(t, v, later, "", false)[digest]; f.Removed || !strings.Contains(f.Why, "appeal 7") {
			t.Errorf("a held bundle: %+v", f)
		}
		if err := v.Note(t.Context(), digest, evidence.ActRelease, "appeal 7 withdrawn"); err != nil {
			t.Fatal(err)
		}
		if f := fates(t, v, later, "", true)[digest]; !f.Removed || f.Site != "www.example.co.uk" {
			t.Errorf("dry: %+v", f)
		}
		if _, err := v.Open(t.Context(), digest); err != nil {
			t.Errorf("a dry run removed it: %v", err)
		}
		if f := fates(t, v, later, "", false)[digest]; !f.Removed {
			t.Errorf("a released bundle: %+v", f)
		}
		if _, err := v.Open(t.Context(), digest); err == nil || !strings.Contains(err.Error(), "removed on") {
			t.Errorf("after it was removed: %v", err)
		}
		events, err := v.Record(t.Context(), digest)
		if err != nil || len(events) != 3 || events[0].Reason != "appeal 7" || events[2].Act != evidence.ActExpire {
			t.Errorf("record %+v, %v", events, err)
		}
		if err := v.Note(t.Context(), digest, evidence.ActHold, "too late"); err == nil {
			t.Error("a removed bundle can be held")
		}
	})
}

// A bundle is old by two clocks, that of the machine that sealed it and that of the
// place where it lies: one of them that is wrong removes nothing too early.
func TestAWrongClockRemovesNothing(t *testing.T) {
	dir := t.TempDir()
	v, err := evidence.OpenVault(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	digest, err := evidence.Seal(t.Context(), v, draft(t))
	if err != nil {
		t.Fatal(err)
	}
	sum := strings.TrimPrefix(digest, "sha256:")
	file := filepath.Join(dir, "sha256", sum[:2], sum+".zip")
	for what, x := range map[string]struct{ lies, before time.Time }{
		"it lies there since long, and was sealed just now":  {time.Now().Add(-100 * 24 * time.Hour), time.Now().Add(-24 * time.Hour)},
		"it was sealed long ago, and lies there since today": {time.Now().Add(100 * 24 * time.Hour), time.Now().Add(50 * 24 * time.Hour)},
	} {
		if err := os.Chtimes(file, x.lies, x.lies); err != nil {
			t.Fatal(err)
		}
		if f := fates(t, v, x.before, "", false)[digest]; !f.Newer || f.Removed {
			t.Errorf("%s: %+v", what, f)
		}
	}
}

// Several people note at the same time; nothing is lost.
func TestNotesAreOnlyAdded(t *testing.T) {
	vaults(t, func(t *testing.T, v *evidence.Vault) {
		digest, err := evidence.Seal(t.Context(), v, draft(t))
		if err != nil {
			t.Fatal(err)
		}
		var g sync.WaitGroup
		for range 6 {
			g.Go(func() {
				if err := v.Note(t.Context(), digest, evidence.ActHold, "why"); err != nil {
					t.Error(err)
				}
			})
		}
		g.Wait()
		if events, err := v.Record(t.Context(), digest); err != nil || len(events) != 6 {
			t.Errorf("%d events, %v", len(events), err)
		}
		for _, reason := range []string{"", " \n", strings.Repeat("x", 3000)} {
			if err := v.Note(t.Context(), digest, evidence.ActHold, reason); err == nil {
				t.Errorf("held for the reason %.5q", reason)
			}
		}
	})
}

// What does not open stays, for somebody to look at.
func TestDamagedBundlesAreKept(t *testing.T) {
	dir := t.TempDir()
	v, err := evidence.OpenVault(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	digest := "sha256:" + strings.Repeat("ab", 32)
	name := filepath.Join(dir, "sha256", "ab", strings.Repeat("ab", 32)+".zip")
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte("no bundle"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if f := fates(t, v, time.Now().Add(time.Hour), "", false)[digest]; f.Removed || !strings.Contains(f.Why, "damaged") {
		t.Errorf("%+v", f)
	}
	if _, err := os.Stat(name); err != nil {
		t.Error(err)
	}
}
