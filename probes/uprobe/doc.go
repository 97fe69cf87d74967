// Package uprobe attaches programs to functions of the programs and libraries that run on
// the host. It finds the files of processes and the functions in them, and keeps up with
// processes that start and end. What it reads belongs to other users. So it reads in
// processes without privileges, with deadlines, and each user has a share.
package uprobe
