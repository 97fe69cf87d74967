// Package elffile finds functions in ELF files that may be hostile: anyone who may start
// a process on the host can give a file the name of a server. It keeps no part of a file
// in memory whose size the file decides, and it has one budget for everything that it
// reads of a file.
package elffile
