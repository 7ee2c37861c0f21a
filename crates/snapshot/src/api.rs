//! An API, compiled.

use std::sync::Arc;
use std::time::Duration;

use domain::config::{AuthMethod, KeyLocation, UnknownOperations};
use domain::ids::ApiId;
use domain::path::canonical;
use domain::sealed::MasterKey;
use domain::usage::UNLISTED_OPERATION;
use zeroize::Zeroizing;

use crate::error::Fault;
use crate::meter::CompiledMeter;
use crate::plan::CompiledAnonymous;
use crate::routes::{Found, Route, Search, Segments, Tree, without_parameters};
use crate::source::{ApiRecord, upstream_auth_context};
use crate::target::{CompiledTarget, is_host};

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompiledOperation {
    /// Its key, or [`UNLISTED_OPERATION`].
    pub key: Arc<str>,
    /// Method in upper case; empty for the one that stands for all unlisted ones.
    pub method: Box<str>,
    /// The document's path key; empty likewise.
    pub path_key: Box<str>,
    /// Whether the document lists it.
    pub listed: bool,
}

/// A header with its secret value. Its `Debug` shows the name alone.
pub struct OpenedHeader {
    /// Name, lower case.
    pub name: Box<str>,
    /// Value: visible ASCII, spaces and tabs.
    pub value: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for OpenedHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedHeader")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// An API.
#[derive(Debug)]
pub struct CompiledApi {
    /// Id.
    pub id: ApiId,
    /// Name.
    pub name: Arc<str>,
    /// Version shown to readers.
    pub version: Arc<str>,
    /// Host names in lower case; empty for any.
    pub hosts: Box<[Box<str>]>,
    /// Canonical, without a slash at the end; empty for `/`.
    pub base_path: Box<str>,
    /// Whether the base path is removed before the upstream sees the path.
    pub strip_base_path: bool,
    /// Where live traffic goes; not empty.
    pub targets: Box<[CompiledTarget]>,
    /// Where test traffic goes; empty refuses it.
    pub sandbox: Box<[CompiledTarget]>,
    /// To open a connection.
    pub connect_timeout: Duration,
    /// From the end of the request to the head of the answer, and between two pieces of it.
    pub response_timeout: Duration,
    /// A header that proves to the upstream that the gateway calls.
    pub upstream_auth: Option<OpenedHeader>,
    /// Accepted kinds of credential.
    pub auth: Box<[AuthMethod]>,
    /// Where an API key may be found besides `Authorization: Bearer`; the header in lower case.
    pub key_location: KeyLocation,
    /// The plan of callers without a credential.
    pub anonymous: Option<CompiledAnonymous>,
    /// What happens to operations that the document does not list.
    pub unknown_operations: UnknownOperations,
    /// Listed operations.
    pub operations: Box<[CompiledOperation]>,
    /// Stands for all operations that are not listed.
    pub unlisted: CompiledOperation,
    /// Meters that a plan of a product with this API counts or prices, without `requests`.
    pub meters: Box<[Arc<CompiledMeter>]>,
    tree: Tree,
    pub(crate) record: Arc<ApiRecord>,
}

/// What an API takes from other objects.
pub(crate) struct Surroundings {
    pub(crate) anonymous: Option<CompiledAnonymous>,
    pub(crate) meters: Box<[Arc<CompiledMeter>]>,
}

impl CompiledApi {
    pub(crate) fn new(record: &Arc<ApiRecord>, around: Surroundings, master: &MasterKey) -> Result<Self, Fault> {
        let spec = &record.spec;
        if spec.upstream.targets.is_empty() {
            return Err(Fault::NoTarget);
        }
        let operations: Box<[CompiledOperation]> = operations(record)?;
        let tree = Tree::new(
            operations
                .iter()
                .map(|operation| (&*operation.method, &*operation.path_key)),
        )?;
        let targets =
            |targets: &[domain::config::Target]| targets.iter().map(CompiledTarget::new).collect::<Result<_, _>>();
        Ok(Self {
            id: record.id,
            name: spec.name.as_str().into(),
            version: spec.version.as_str().into(),
            hosts: spec
                .hosts
                .iter()
                .map(|host| host_name(host))
                .collect::<Result<_, _>>()?,
            base_path: base_path(spec.base_path.as_deref().unwrap_or("/"))?,
            strip_base_path: spec.strip_base_path,
            targets: targets(&spec.upstream.targets)?,
            sandbox: targets(&spec.upstream.sandbox)?,
            connect_timeout: spec.upstream.timeouts.connect.to_duration(),
            response_timeout: spec.upstream.timeouts.response.to_duration(),
            upstream_auth: opened(record, master)?,
            auth: spec.auth.clone().into(),
            key_location: key_location(&spec.api_key)?,
            anonymous: around.anonymous,
            unknown_operations: spec.unknown_operations,
            operations,
            unlisted: CompiledOperation {
                key: UNLISTED_OPERATION.into(),
                method: Box::default(),
                path_key: Box::default(),
                listed: false,
            },
            meters: around.meters,
            tree,
            record: Arc::clone(record),
        })
    }

    /// Whether it came from the same record and surroundings, so that it can be shared.
    pub(crate) fn is_from(&self, record: &Arc<ApiRecord>, around: &Surroundings) -> bool {
        let anonymous = match (&self.anonymous, &around.anonymous) {
            (None, None) => true,
            (Some(mine), Some(other)) => Arc::ptr_eq(&mine.plan, &other.plan) && mine.by == other.by,
            (Some(_), None) | (None, Some(_)) => false,
        };
        anonymous && Arc::ptr_eq(&self.record, record) && self.meters == around.meters
    }

    /// The operation of a path below the base path.
    pub(crate) fn route<'a, 'p>(
        self: &'a Arc<Self>,
        path: &'p str,
        segments: &Segments<'_>,
        method: &str,
    ) -> Route<'a, 'p> {
        let depth = self.base_path.matches('/').count();
        let below = segments.get(depth..).unwrap_or_default();
        // The bare base path becomes `/` once it is stripped, so it is that operation and no other.
        let root = [std::borrow::Cow::Borrowed("")];
        let below = if below.is_empty() && self.strip_base_path {
            &root
        } else {
            below
        };
        let found = |operation| {
            Route::Found(Found {
                api: self,
                operation,
                upstream_path: self.upstream_path(path),
            })
        };
        match (self.search(below, method), self.unknown_operations) {
            (Search::Operation(at), _) => found(self.operations.get(at).unwrap_or(&self.unlisted)),
            (Search::Allow(_), UnknownOperations::Pass) => found(&self.unlisted),
            (Search::Allow(allow), UnknownOperations::Reject) if allow.is_empty() => Route::NoRoute { api: Some(self) },
            (Search::Allow(allow), UnknownOperations::Reject) => Route::MethodNotAllowed { api: self, allow },
        }
    }

    fn search(&self, below: &[std::borrow::Cow<'_, str>], method: &str) -> Search<'_> {
        let found = self.tree.search(below, method);
        match (&found, without_parameters(below)) {
            (Search::Allow(_), Some(bare)) => match self.tree.search(&bare, method) {
                Search::Allow(allow) if allow.is_empty() => found,
                other => other,
            },
            _ => found,
        }
    }

    fn upstream_path<'p>(&self, path: &'p str) -> &'p str {
        if !self.strip_base_path || self.base_path.is_empty() {
            return path;
        }
        // The base path may be spelled in another way in the request (`%40` for `@`), so slashes are counted, not bytes.
        let depth = self.base_path.matches('/').count();
        path.match_indices('/')
            .nth(depth)
            .and_then(|(at, _)| path.get(at..))
            .unwrap_or("/")
    }

    /// All that was computed, in one order.
    pub(crate) fn dump(&self) -> String {
        let meters: Vec<_> = self.meters.iter().map(|meter| &meter.name).collect();
        let anonymous = self
            .anonymous
            .as_ref()
            .map(|anonymous| (anonymous.plan.version_id, anonymous.plan.dump()));
        format!(
            "{:?} {:?} {:?} {:?} {meters:?} {anonymous:?}",
            self.base_path, self.hosts, self.targets, self.operations
        )
    }
}

fn operations(record: &ApiRecord) -> Result<Box<[CompiledOperation]>, Fault> {
    let operation = |row: &crate::source::OperationRecord| {
        if !is_token(&row.method) {
            return Err(Fault::Method(row.method.clone()));
        }
        Ok(CompiledOperation {
            key: row.key.as_str().into(),
            method: row.method.to_ascii_uppercase().into(),
            path_key: row.path_key.as_str().into(),
            listed: true,
        })
    };
    record.operations.iter().map(operation).collect()
}

fn base_path(path: &str) -> Result<Box<str>, Fault> {
    let wrong = |fault| Fault::BasePath {
        path: path.to_owned(),
        fault,
    };
    Ok(canonical(path).map_err(wrong)?.trim_end_matches('/').into())
}

fn host_name(host: &str) -> Result<Box<str>, Fault> {
    if is_host(host) {
        Ok(host.to_ascii_lowercase().into())
    } else {
        Err(Fault::Host(host.to_owned()))
    }
}

fn key_location(location: &KeyLocation) -> Result<KeyLocation, Fault> {
    if !is_token(&location.header) {
        return Err(Fault::Header(location.header.clone()));
    }
    Ok(KeyLocation {
        header: location.header.to_ascii_lowercase(),
        query: location.query.clone(),
    })
}

fn opened(record: &ApiRecord, master: &MasterKey) -> Result<Option<OpenedHeader>, Fault> {
    let Some(auth) = &record.spec.upstream.auth else {
        return Ok(None);
    };
    let sealed = record.upstream_auth.as_ref().ok_or(Fault::NoSecret)?;
    let value = master
        .open(&upstream_auth_context(record.id), sealed)
        .map_err(Fault::Secret)?;
    if !is_token(&auth.header) || !value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        return Err(Fault::Header(auth.header.clone()));
    }
    Ok(Some(OpenedHeader {
        name: auth.header.to_ascii_lowercase().into(),
        value,
    }))
}

/// A token of RFC 9110: what names of headers and methods are made of.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
