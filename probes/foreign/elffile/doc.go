// Package elffile finds functions in ELF files that may be hostile: whoever
// may start a process on the host can name a file like a server. It holds no
// part of a file in memory that the file decides the size of, and it has one
// budget for all that it reads of a file.
package elffile
