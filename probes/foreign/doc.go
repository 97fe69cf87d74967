// Package foreign reads what belongs to processes of other users: the list of
// the files that they map, and symbols in these files. Each of them may be
// made to kill, bloat, delay or deceive the agent. Therefore
//
//   - a file is opened without any of its bytes, or a slow directory, being
//     asked for (Open);
//   - only a child process without privileges reads it (Reader);
//   - what can wait for another process runs in a bounded Pool of threads that
//     are given up when they do not answer in time;
//   - what is refused has one of a few Reasons, to be counted.
package foreign
