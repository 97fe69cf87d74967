// Package uprobe attaches programs to functions of the programs and libraries that run
// on the host. It finds the files of processes and the functions in them, and keeps up
// with processes that come and go. What it reads belongs to other users: that is done in
// processes without privileges, with deadlines, and each user has a share.
package uprobe
