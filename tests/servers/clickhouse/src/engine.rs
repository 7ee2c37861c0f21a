//! The engine, loaded from `libchdb.so`: ClickHouse in this process, with its data in one directory.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::{Mutex, PoisonError};

use libloading::{Library, Symbol};

type Conn = *mut c_void;

/// What a statement gave back.
pub struct Output {
    pub data: Vec<u8>,
    pub rows_read: u64,
    pub rows_written: u64,
}

/// An open connection; a plain address, because the library locks for itself.
#[derive(Clone, Copy)]
pub struct Connection(usize);

pub struct Engine {
    library: Library,
    path: String,
    idle: Mutex<Vec<Connection>>,
}

impl Engine {
    pub fn load(library: &str, path: &str) -> Result<Self, String> {
        // SAFETY: the library's initialisers are those of ClickHouse.
        let library = unsafe { Library::new(library) }.map_err(|error| error.to_string())?;
        Ok(Self {
            library,
            path: path.to_owned(),
            idle: Mutex::default(),
        })
    }

    /// SAFETY: `T` must be the type of the symbol in chdb.h.
    unsafe fn symbol<T>(&self, name: &[u8]) -> Symbol<'_, T> {
        unsafe { self.library.get(name) }.expect("the library has every function of chdb.h")
    }

    pub fn open(&self) -> Result<Connection, String> {
        type Connect = unsafe extern "C" fn(c_int, *const *const c_char) -> *mut Conn;
        let arguments = ["clickhouse".to_owned(), format!("--path={}", self.path)];
        let arguments = arguments.map(|text| CString::new(text).expect("a path without zero bytes"));
        let pointers: Vec<*const c_char> = arguments.iter().map(|text| text.as_ptr()).collect();
        // SAFETY: signature of chdb.h; the strings outlive the call.
        unsafe {
            let connection = self.symbol::<Connect>(b"chdb_connect")(2, pointers.as_ptr());
            if connection.is_null() || (*connection).is_null() {
                return Err("Code: 1. DB::Exception: chdb_connect failed".to_owned());
            }
            Ok(Connection(connection as usize))
        }
    }

    pub fn close(&self, connection: Connection) {
        type Close = unsafe extern "C" fn(*mut Conn);
        // SAFETY: opened by `open` and closed once.
        unsafe { self.symbol::<Close>(b"chdb_close_conn")(connection.0 as *mut Conn) }
    }

    /// A connection that nobody uses, or a new one.
    pub fn borrow(&self) -> Result<Connection, String> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| self.open(), Ok)
    }

    pub fn give_back(&self, connection: Connection) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
    }

    pub fn close_idle(&self) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        idle.into_iter().for_each(|connection| self.close(connection));
    }

    pub fn query(
        &self,
        connection: Connection,
        sql: &[u8],
        format: &str,
        params: &[(String, String)],
    ) -> Result<Output, String> {
        type Query = unsafe extern "C" fn(
            Conn,
            *const u8,
            usize,
            *const u8,
            usize,
            *const *const u8,
            *const usize,
            *const *const u8,
            *const usize,
            usize,
        ) -> *mut c_void;
        let names: Vec<*const u8> = params.iter().map(|(name, _)| name.as_ptr()).collect();
        let name_lengths: Vec<usize> = params.iter().map(|(name, _)| name.len()).collect();
        let values: Vec<*const u8> = params.iter().map(|(_, value)| value.as_ptr()).collect();
        let value_lengths: Vec<usize> = params.iter().map(|(_, value)| value.len()).collect();
        // SAFETY: signature of chdb.h; all buffers outlive the call.
        unsafe {
            let result = self.symbol::<Query>(b"chdb_query_with_params_n")(
                *(connection.0 as *mut Conn),
                sql.as_ptr(),
                sql.len(),
                format.as_ptr(),
                format.len(),
                names.as_ptr(),
                name_lengths.as_ptr(),
                values.as_ptr(),
                value_lengths.as_ptr(),
                params.len(),
            );
            self.take(result)
        }
    }

    pub fn insert(&self, connection: Connection, sql: &str, format: &str, data: &[u8]) -> Result<Output, String> {
        type Begin = unsafe extern "C" fn(Conn, *const u8, usize, *const u8, usize) -> *mut c_void;
        type Append = unsafe extern "C" fn(*mut c_void, *const u8, usize) -> c_int;
        type Done = unsafe extern "C" fn(*mut c_void) -> *mut c_void;
        type Destroy = unsafe extern "C" fn(*mut c_void);
        // SAFETY: signatures of chdb.h; the stream is destroyed once, at the end.
        unsafe {
            let stream = self.symbol::<Begin>(b"chdb_stream_insert_n")(
                *(connection.0 as *mut Conn),
                sql.as_ptr(),
                sql.len(),
                format.as_ptr(),
                format.len(),
            );
            let mut result = self.stream_error(stream).map_or(Ok(()), Err);
            // Without rows there is nothing to append.
            if result.is_ok() && !data.is_empty() {
                let failed = self.symbol::<Append>(b"chdb_stream_append")(stream, data.as_ptr(), data.len()) != 0;
                if failed {
                    let reason = self.stream_error(stream);
                    result = Err(reason.unwrap_or_else(|| "Code: 1. append failed".to_owned()));
                }
            }
            let output = result.and_then(|()| {
                let done = self.symbol::<Done>(b"chdb_stream_done")(stream);
                if done.is_null() {
                    let reason = self.stream_error(stream);
                    return Err(reason.unwrap_or_else(|| "Code: 1. done failed".to_owned()));
                }
                self.take(done)
            });
            self.symbol::<Destroy>(b"chdb_destroy_insert_stream")(stream);
            output
        }
    }

    /// SAFETY: `stream` comes from `chdb_stream_insert_n`.
    unsafe fn stream_error(&self, stream: *mut c_void) -> Option<String> {
        type Error = unsafe extern "C" fn(*mut c_void) -> *const c_char;
        unsafe { text(self.symbol::<Error>(b"chdb_stream_insert_error")(stream)) }
    }

    /// SAFETY: `result` comes from the library and is used nowhere else.
    unsafe fn take(&self, result: *mut c_void) -> Result<Output, String> {
        type Text = unsafe extern "C" fn(*mut c_void) -> *const c_char;
        type Buffer = unsafe extern "C" fn(*mut c_void) -> *const u8;
        type Length = unsafe extern "C" fn(*mut c_void) -> usize;
        type Number = unsafe extern "C" fn(*mut c_void) -> u64;
        type Destroy = unsafe extern "C" fn(*mut c_void);
        if result.is_null() {
            return Err("Code: 1. DB::Exception: no result".to_owned());
        }
        unsafe {
            let output = match text(self.symbol::<Text>(b"chdb_result_error")(result)) {
                Some(error) => Err(error),
                None => {
                    let buffer = self.symbol::<Buffer>(b"chdb_result_buffer")(result);
                    let length = self.symbol::<Length>(b"chdb_result_length")(result);
                    let data = if buffer.is_null() || length == 0 {
                        Vec::new()
                    } else {
                        std::slice::from_raw_parts(buffer, length).to_vec()
                    };
                    Ok(Output {
                        data,
                        rows_read: self.symbol::<Number>(b"chdb_result_rows_read")(result),
                        rows_written: self.symbol::<Number>(b"chdb_result_rows_written")(result),
                    })
                }
            };
            self.symbol::<Destroy>(b"chdb_destroy_query_result")(result);
            output
        }
    }
}

/// SAFETY: null, or a text that ends with a zero byte.
unsafe fn text(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    Some(unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}
