// Package foreign reads what belongs to processes of other users: the list of files that
// they map, and symbols in these files. Each of them may be made to kill, bloat, delay or
// deceive the agent. Therefore
//
//   - a file is opened without a read of its bytes or of a slow directory (Open);
//   - only a child process without privileges reads it (Reader);
//   - what can wait for another process runs in a bounded Pool of threads, which
//     are given up if they do not answer in time;
//   - what is refused has one of a few Reasons, so that it can be counted.
package foreign
