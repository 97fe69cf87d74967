// Package record writes finished requests as JSON objects. This is the format
// of lapwing trace --format json; docs/phases.md describes each field.
package record
