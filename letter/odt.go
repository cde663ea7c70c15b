package letter

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// The names that OpenDocument 1.3 gives to its parts.
const (
	odtMIME   = "application/vnd.oasis.opendocument.text"
	odtSpaces = `xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0" xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:meta="urn:oasis:names:tc:opendocument:xmlns:meta:1.0" office:version="1.3"`
	xmlHead   = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
)

// Width and height of the text of a page, in centimetres.
const (
	odtWidth  = 16.6
	odtHeight = 20.0
)

// odtStyles say what the letter looks like; nothing in the text has a style of its own.
const odtStyles = `<office:font-face-decls><style:font-face style:name="Sans" svg:font-family="'Liberation Sans', Arial" style:font-family-generic="swiss"/><style:font-face style:name="Mono" svg:font-family="'Liberation Mono', 'Courier New'" style:font-family-generic="modern" style:font-pitch="fixed"/></office:font-face-decls>
<office:styles><style:default-style style:family="paragraph"><style:paragraph-properties fo:orphans="3" fo:widows="3"/><style:text-properties style:font-name="Sans" fo:font-size="11pt" %s/></style:default-style>
<style:style style:name="Standard" style:family="paragraph" style:class="text"><style:paragraph-properties fo:margin-bottom="0.25cm" fo:line-height="130%%"/></style:style>
<style:style style:name="Heading_20_1" style:display-name="Heading 1" style:family="paragraph" style:parent-style-name="Standard" style:next-style-name="Standard" style:default-outline-level="1" style:class="text"><style:paragraph-properties fo:margin-top="0.5cm" fo:margin-bottom="0.15cm" fo:keep-with-next="always"/><style:text-properties fo:font-size="13pt" fo:font-weight="bold"/></style:style>
<style:style style:name="Heading_20_2" style:display-name="Heading 2" style:family="paragraph" style:parent-style-name="Standard" style:next-style-name="Standard" style:default-outline-level="2" style:class="text"><style:paragraph-properties fo:margin-top="0.4cm" fo:margin-bottom="0.1cm" fo:keep-with-next="always"/><style:text-properties fo:font-size="11.5pt" fo:font-weight="bold"/></style:style>
<style:style style:name="Annex" style:family="paragraph" style:parent-style-name="Heading_20_1" style:default-outline-level="1"><style:paragraph-properties fo:break-before="page"/></style:style>
<style:style style:name="Draft" style:family="paragraph" style:parent-style-name="Standard"><style:text-properties fo:font-weight="bold"/></style:style>
<style:style style:name="Proof" style:family="paragraph" style:parent-style-name="Standard"><style:paragraph-properties fo:margin-bottom="0cm" fo:keep-with-next="always"/><style:text-properties fo:language="en" fo:country="GB"/></style:style>
<style:style style:name="Digest" style:family="paragraph" style:parent-style-name="Standard"><style:text-properties style:font-name="Mono" fo:font-size="8.5pt"/></style:style>
<style:style style:name="Caption" style:family="paragraph" style:parent-style-name="Standard"><style:text-properties fo:font-size="9.5pt" fo:language="en" fo:country="GB"/></style:style>
<style:style style:name="Picture" style:family="graphic"/>
<text:list-style style:name="List"><text:list-level-style-bullet text:level="1" text:bullet-char="•"><style:list-level-properties text:list-level-position-and-space-mode="label-alignment"><style:list-level-label-alignment text:label-followed-by="listtab" fo:text-indent="-0.5cm" fo:margin-left="0.5cm"/></style:list-level-properties></text:list-level-style-bullet></text:list-style></office:styles>
<office:automatic-styles><style:page-layout style:name="A4"><style:page-layout-properties fo:page-width="21cm" fo:page-height="29.7cm" fo:margin-top="2.2cm" fo:margin-bottom="2cm" fo:margin-left="2.2cm" fo:margin-right="2.2cm"/><style:header-style/><style:footer-style/></style:page-layout></office:automatic-styles>
<office:master-styles><style:master-page style:name="Standard" style:page-layout-name="A4">%s<style:footer><text:p text:style-name="Caption"><text:page-number>1</text:page-number> / <text:page-count>1</text:page-count></text:p></style:footer></style:master-page></office:master-styles>`

// escaped makes a text XML's; what XML cannot hold is replaced. Attributes stand
// in double quotation marks.
func escaped(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return strings.NewReplacer("&#39;", "'", "&#34;", "&quot;").Replace(b.String())
}

// spaced is a text as OpenDocument has it, where several blanks are one.
func spaced(s string) string { return escaped(strings.Join(strings.Fields(s), " ")) }

// file is one of the package.
type file struct {
	name string
	data []byte
}

// ODT writes the letter as an OpenDocument text, which word processors open. It
// has no macros, links, objects or fields but the number of the page.
func (d Document) ODT(w io.Writer) error {
	lang, country, ok := strings.Cut(d.Lang, "-")
	if !ok {
		country = "GB"
	}
	draft := ""
	if d.Draft {
		draft = `<style:header><text:p text:style-name="Draft">` + escaped(d.Mark()) + `</text:p></style:header>`
	}
	var listed strings.Builder
	files := []file{
		{"content.xml", []byte(xmlHead + `<office:document-content ` + odtSpaces + `><office:body><office:text>` + d.odtText() + `</office:text></office:body></office:document-content>`)},
		{"styles.xml", []byte(xmlHead + `<office:document-styles ` + odtSpaces + `>` + fmt.Sprintf(odtStyles, fmt.Sprintf(`fo:language="%s" fo:country="%s"`, escaped(lang), escaped(country)), draft) + `</office:document-styles>`)},
		{"meta.xml", []byte(xmlHead + `<office:document-meta ` + odtSpaces + `><office:meta><dc:title>` + escaped(d.Title) + `</dc:title><dc:language>` + escaped(d.Lang) + `</dc:language></office:meta></office:document-meta>`)},
	}
	for _, f := range files {
		fmt.Fprintf(&listed, `<manifest:file-entry manifest:full-path="%s" manifest:media-type="text/xml"/>`, f.name)
	}
	for i, p := range d.Pictures {
		name := odtPicture(i)
		files = append(files, file{name, p.JPEG})
		fmt.Fprintf(&listed, `<manifest:file-entry manifest:full-path="%s" manifest:media-type="image/jpeg"/>`, name)
	}
	manifest := xmlHead + `<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" manifest:version="1.3"><manifest:file-entry manifest:full-path="/" manifest:version="1.3" manifest:media-type="` + odtMIME + `"/>` + listed.String() + `</manifest:manifest>`
	// Programs tell by the first bytes of the file what it is: the first entry is not packed.
	z := zip.NewWriter(w)
	err := addFile(z, "mimetype", zip.Store, []byte(odtMIME))
	for _, f := range append(files, file{"META-INF/manifest.xml", []byte(manifest)}) {
		err = errors.Join(err, addFile(z, f.name, zip.Deflate, f.data))
	}
	if err := errors.Join(err, z.Close()); err != nil {
		return fmt.Errorf("write the letter: %w", err)
	}
	return nil
}

// addFile adds a file with its size before it and without a time, so that the
// same letter gives the same bytes.
func addFile(z *zip.Writer, name string, method uint16, data []byte) error {
	packed := data
	if method == zip.Deflate {
		var b bytes.Buffer
		fw, err := flate.NewWriter(&b, flate.DefaultCompression)
		if err != nil {
			return err
		}
		if _, err := fw.Write(data); err != nil {
			return err
		}
		if err := fw.Close(); err != nil {
			return err
		}
		packed = b.Bytes()
	}
	const firstOfJanuary1980 = 1<<5 | 1 // the least date that zip can say
	f, err := z.CreateRaw(&zip.FileHeader{Name: name, Method: method, ModifiedDate: firstOfJanuary1980,
		CRC32: crc32.ChecksumIEEE(data), CompressedSize64: uint64(len(packed)), UncompressedSize64: uint64(len(data))})
	if err != nil {
		return err
	}
	_, err = f.Write(packed)
	return err
}

func odtPicture(i int) string { return fmt.Sprintf("Pictures/%d.jpg", i+1) }

func (d Document) odtText() string {
	var b bytes.Buffer
	d.odtBlocks(&b, parts(blocks(d.Text)), "")
	d.odtBlocks(&b, parts(d.annex()), "Annex")
	return b.String()
}

// odtBlocks writes blocks; the first has a style of its own, when one is given.
func (d Document) odtBlocks(b *bytes.Buffer, ps []part, first string) {
	if first != "" && (len(ps) == 0 || ps[0].List != nil || ps[0].B.Kind != heading) {
		fmt.Fprintf(b, `<text:p text:style-name="%s"/>`, first) // it begins the page all the same
		first = ""
	}
	for _, p := range ps {
		switch {
		case p.List != nil:
			b.WriteString(`<text:list text:style-name="List">`)
			for _, l := range p.List {
				fmt.Fprintf(b, `<text:list-item><text:p text:style-name="Standard">%s</text:p></text:list-item>`, spaced(l))
			}
			b.WriteString(`</text:list>`)
		case p.B.Kind == heading:
			style := "Heading_20_1"
			if first != "" {
				style, first = first, ""
			}
			fmt.Fprintf(b, `<text:h text:style-name="%s" text:outline-level="1">%s</text:h>`, style, spaced(p.B.Lines[0]))
		case p.B.Kind == smaller:
			fmt.Fprintf(b, `<text:h text:style-name="Heading_20_2" text:outline-level="2">%s</text:h>`, spaced(p.B.Lines[0]))
		case p.B.Kind == pictures:
			for i, pic := range d.Pictures {
				d.odtFrame(b, i, pic)
			}
		case p.B.Kind == proofs:
			for _, pr := range d.Proofs {
				fmt.Fprintf(b, `<text:p text:style-name="Proof">%s</text:p><text:p text:style-name="Digest">%s</text:p>`, spaced(pr.What), spaced(pr.Digest))
			}
		default:
			b.WriteString(`<text:p text:style-name="Standard">`)
			for i, l := range p.B.Lines {
				if i > 0 {
					b.WriteString(`<text:line-break/>`)
				}
				b.WriteString(spaced(l))
			}
			b.WriteString(`</text:p>`)
		}
	}
}

func (d Document) odtFrame(b *bytes.Buffer, i int, p Picture) {
	w, h := odtWidth, odtWidth*float64(max(p.Height, 1))/float64(max(p.Width, 1))
	if h > odtHeight {
		w, h = w*odtHeight/h, odtHeight
	}
	fmt.Fprintf(b, `<text:p text:style-name="Proof"><draw:frame draw:style-name="Picture" draw:name="Picture %d" text:anchor-type="as-char" svg:width="%.2fcm" svg:height="%.2fcm"><draw:image xlink:href="%s" xlink:type="simple" xlink:show="embed" xlink:actuate="onLoad"/><svg:title>%s</svg:title></draw:frame></text:p><text:p text:style-name="Caption">%s</text:p>`,
		i+1, w, h, odtPicture(i), spaced(p.Caption), spaced(p.Caption))
}
