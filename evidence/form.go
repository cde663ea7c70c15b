package evidence

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// entry is one file of the zip: its content, and the bytes that stand for it.
type entry struct {
	name    string
	content []byte
	packed  []byte // the content itself, or its DEFLATE stream
	method  uint16 // zip.Store or zip.Deflate
}

// stored is an entry that is not compressed.
func stored(name string, content []byte) entry {
	return entry{name: name, content: content, packed: content, method: zip.Store}
}

// deflated is an entry that is compressed.
func deflated(name string, content []byte) (entry, error) {
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, flate.BestSpeed)
	if err != nil {
		return entry{}, err
	}
	if _, err := w.Write(content); err != nil {
		return entry{}, err
	}
	if err := w.Close(); err != nil {
		return entry{}, err
	}
	return entry{name: name, content: content, packed: buf.Bytes(), method: zip.Deflate}, nil
}

// unpack is the content of an entry's packed bytes; it must be size bytes long.
func unpack(method uint16, packed []byte, size uint64) ([]byte, error) {
	if size > maxPart {
		return nil, errors.New("larger than any part that we seal")
	}
	switch method {
	case zip.Store:
		if uint64(len(packed)) != size {
			return nil, errors.New("not as long as it says")
		}
		return packed, nil
	case zip.Deflate:
		content, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), int64(size)+1))
		if err != nil {
			return nil, err
		}
		if uint64(len(content)) != size {
			return nil, errors.New("not as long as it says")
		}
		return content, nil
	}
	return nil, fmt.Errorf("packed by the method %d, which we do not use", method)
}

// zipBytes writes the zip. Every byte follows from the entries: there are no
// times, attributes, comments or extra fields in which something could hide.
func zipBytes(entries []entry) ([]byte, error) {
	const firstOfJanuary1980 = 1<<5 | 1 // the least date that zip can say
	var buf bytes.Buffer
	zw := zip.NewWriter(&buf)
	for _, e := range entries {
		w, err := zw.CreateRaw(&zip.FileHeader{Name: e.name, Method: e.method, ModifiedDate: firstOfJanuary1980,
			CRC32: crc32.ChecksumIEEE(e.content), CompressedSize64: uint64(len(e.packed)), UncompressedSize64: uint64(len(e.content))})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(e.packed); err != nil {
			return nil, err
		}
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// unzip reads the entries of a zip, within our limits.
func unzip(data []byte) ([]entry, error) {
	zr, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, &DamagedError{archiveName, err.Error()}
	}
	if len(zr.File) == 0 || len(zr.File) > maxParts+4 {
		return nil, &DamagedError{archiveName, fmt.Sprintf("%d entries", len(zr.File))}
	}
	seen := map[string]bool{}
	var total int
	var entries []entry
	for _, f := range zr.File {
		if seen[f.Name] {
			return nil, &DamagedError{f.Name, "it is there twice"}
		}
		seen[f.Name] = true
		r, err := f.OpenRaw()
		if err != nil {
			return nil, &DamagedError{f.Name, err.Error()}
		}
		packed, err := io.ReadAll(r)
		if err != nil {
			return nil, &DamagedError{f.Name, err.Error()}
		}
		content, err := unpack(f.Method, packed, f.UncompressedSize64)
		if err != nil {
			return nil, &DamagedError{f.Name, err.Error()}
		}
		if total += len(content); total > maxBundle {
			return nil, &DamagedError{f.Name, "the bundle is larger than any that we seal"}
		}
		entries = append(entries, entry{f.Name, content, packed, f.Method})
	}
	return entries, nil
}
