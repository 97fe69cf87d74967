package sandbox

// ofArchitecture are calls that others go without, or know by another name.
var ofArchitecture = []string{"newfstatat", "epoll_wait", "poll", "select"}
