package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	pc "pecrawler"
)

// WACZ 1.1.1: https://specs.webrecorder.net/wacz/1.1.1/
type (
	waczPackage struct {
		Profile   string         `json:"profile"`
		Version   string         `json:"wacz_version"`
		Software  string         `json:"software"`
		Created   time.Time      `json:"created"`
		Title     string         `json:"title"`
		MainURL   string         `json:"mainPageUrl,omitempty"`
		MainDate  *time.Time     `json:"mainPageDate,omitempty"`
		Resources []waczResource `json:"resources"`
		Bundle    string         `json:"pecrawler_bundle"`
	}
	waczResource struct {
		Name  string `json:"name"`
		Path  string `json:"path"`
		Hash  string `json:"hash"`
		Bytes int    `json:"bytes"`
	}
	waczDigest struct {
		Path string `json:"path"`
		Hash string `json:"hash"`
	}
	waczPages struct {
		Format string `json:"format"`
		ID     string `json:"id"`
		Title  string `json:"title"`
	}
	waczPage struct {
		ID    string    `json:"id"`
		URL   string    `json:"url"`
		At    time.Time `json:"ts"`
		Title string    `json:"title"`
	}
)

// WriteWACZ writes a bundle as a web archive. Everything in the bundle is in
// it, the manifest and the signature too, each as a resource under
// urn:pecrawler:<digest>/<part>, so what the archive shows can be held against
// what was sealed. The archive has no signature of its own: the form that WACZ
// knows wants an ECDSA key.
func WriteWACZ(w io.Writer, b *Bundle) error {
	files, err := waczFiles(b)
	if err != nil {
		return fmt.Errorf("write WACZ of %s: %w", b.Digest(), err)
	}
	data, err := zipBytes(files)
	if err == nil {
		_, err = w.Write(data)
	}
	if err != nil {
		return fmt.Errorf("write WACZ of %s: %w", b.Digest(), err)
	}
	return nil
}

// waczFiles are the files of the archive. None is compressed by the zip, since
// readers fetch parts of them by offset.
func waczFiles(b *Bundle) ([]entry, error) {
	warc, err := writeWARC(b)
	if err != nil {
		return nil, err
	}
	index, err := warc.cdx()
	if err != nil {
		return nil, err
	}
	list := pagesOf(b)
	pages, err := jsonLines(list)
	if err != nil {
		return nil, err
	}
	files := []entry{stored("archive/"+warcName, warc.out.Bytes()), stored("indexes/index.cdx", index), stored("pages/pages.jsonl", pages)}

	p := waczPackage{Profile: "data-package", Version: "1.1.1", Software: "pecrawler", Created: b.Manifest().SealedAt, Title: "Visit " + b.Manifest().Visit, Bundle: b.Digest()}
	if len(list) > 0 {
		p.MainURL, p.MainDate = list[0].URL, &list[0].At
	}
	for _, f := range files {
		_, name, _ := bytes.Cut([]byte(f.name), []byte("/"))
		p.Resources = append(p.Resources, waczResource{string(name), f.name, sumOf(f.content), len(f.content)})
	}
	pack, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		return nil, err
	}
	digest, err := json.MarshalIndent(waczDigest{"datapackage.json", sumOf(pack)}, "", " ")
	if err != nil {
		return nil, err
	}
	return append(files, stored("datapackage.json", pack), stored("datapackage-digest.json", digest)), nil
}

// pagesOf lists, for each scenario, the page's address and the pictures of it.
func pagesOf(b *Bundle) []waczPage {
	var pages []waczPage
	add := func(address string, at time.Time, title string) {
		pages = append(pages, waczPage{fmt.Sprintf("p%d", len(pages)), address, at, title})
	}
	for _, s := range pc.EveryScenario {
		c := b.Captures()[s]
		if c == nil {
			continue
		}
		for _, r := range c.Requests {
			if r.Type == "Document" && r.Status > 0 && r.URL == c.FinalURL {
				add(r.URL, since(c, r.At), fmt.Sprintf("%s: the page; bodies that were not recorded are empty", s))
				break
			}
		}
		for i, p := range c.Pages {
			if _, err := b.Part(p.Screen); err == nil {
				add("urn:view:"+p.URL, since(c, p.At), fmt.Sprintf("%s: picture %d, %s", s, i, p.Mark))
			}
		}
	}
	return pages
}

func jsonLines(pages []waczPage) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	if err := enc.Encode(waczPages{"json-pages-1.0", "pages", "What was visited"}); err != nil {
		return nil, err
	}
	for _, p := range pages {
		if err := enc.Encode(p); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}
