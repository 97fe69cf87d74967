package config

import (
	"fmt"
	"strings"
)

// Example returns a complete configuration file: every key with its default and
// a description. Loading it is the same as loading an empty file.
func Example() string {
	var b strings.Builder
	b.WriteString("# Lapwing's configuration. Every key is optional; the values here are the\n# defaults.\n")
	for _, f := range root.fields {
		b.WriteByte('\n')
		writeExample(&b, f, 0)
	}
	return b.String()
}

func writeExample(b *strings.Builder, s *schema, depth int) {
	indent := strings.Repeat("  ", depth)
	writeComment(b, indent, s.Doc)
	switch {
	case s.group():
		fmt.Fprintf(b, "%s%s:\n", indent, s.name)
		for _, f := range s.fields {
			writeExample(b, f, depth+1)
		}
		return
	case s.list() && s.entry.group():
		fmt.Fprintf(b, "%s%s: []\n", indent, s.name)
		writeEntryExample(b, s.entry, indent)
		return
	}
	if s.Example != "" && s.Example != s.Default {
		fmt.Fprintf(b, "%s# For example: %s\n", indent, s.Example)
	}
	fmt.Fprintf(b, "%s%s: %s\n", indent, s.name, s.Default)
}

// writeEntryExample shows one entry of a list as a comment.
func writeEntryExample(b *strings.Builder, entry *schema, indent string) {
	lead := "- "
	for _, f := range entry.fields {
		fmt.Fprintf(b, "%s# %s%-32s # %s\n", indent, lead, f.name+": "+quote(f.Example), f.Doc)
		lead = "  "
	}
}

// quote keeps YAML from reading a text as something else.
func quote(text string) string {
	if strings.ContainsAny(text, `*\[]{}:#`) {
		return "'" + text + "'"
	}
	return text
}

// commentWidth is the width at which comments are wrapped, in characters.
const commentWidth = 78

func writeComment(b *strings.Builder, indent, text string) {
	line := indent + "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > commentWidth && line != indent+"#" {
			b.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	if line != indent+"#" {
		b.WriteString(line + "\n")
	}
}

// Reference returns the table of all keys as Markdown, with a section per
// group.
func Reference() string {
	var b strings.Builder
	var plain []*schema
	for _, f := range root.fields {
		if !f.group() && !f.list() {
			plain = append(plain, f)
		}
	}
	writeTable(&b, "Top level", "", plain)
	for _, f := range root.fields {
		writeSection(&b, f)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// writeSection writes a group's own keys, then the groups within it.
func writeSection(b *strings.Builder, s *schema) {
	fields := s.fields
	if s.list() && s.entry.group() {
		fields = s.entry.fields
	} else if !s.group() {
		return
	}
	var own, below []*schema
	for _, f := range fields {
		if f.group() {
			below = append(below, f)
			continue
		}
		own = append(own, f)
		if f.list() && f.entry.group() {
			below = append(below, f)
		}
	}
	if len(own) > 0 {
		writeTable(b, "`"+s.Path+"`", s.Doc, own)
	}
	for _, f := range below {
		writeSection(b, f)
	}
}

func writeTable(b *strings.Builder, title, doc string, keys []*schema) {
	fmt.Fprintf(b, "### %s\n\n", title)
	if doc != "" {
		b.WriteString(doc + "\n\n")
	}
	b.WriteString("| key | takes | default | example | meaning |\n|---|---|---|---|---|\n")
	for _, k := range keys {
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", k.name, k.Type, code(k.Default), code(k.Example), strings.ReplaceAll(k.Doc, "|", `\|`))
	}
	b.WriteByte('\n')
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
