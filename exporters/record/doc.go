// Package record writes finished requests as JSON objects: the record of each request
// that lapwing trace --format json prints, field by field as docs/phases.md has them.
package record
