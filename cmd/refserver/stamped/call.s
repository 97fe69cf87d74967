// Functions without a body, which call.go borrows from the runtime, need an
// assembly file in their package, even an empty one.
