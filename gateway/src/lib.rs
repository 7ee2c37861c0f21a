//! The data plane: route, identify, admit, forward, settle, emit.
