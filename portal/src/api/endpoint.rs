//! A route of the Admin API: method, path, what a caller needs, handler and documentation in one value.
//!
//! Invariant: an [`Endpoint`] cannot be made without a [`Need`], so that no route is open by omission.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, ResponseBuilder, Schema};
use utoipa::{IntoParams, ToSchema};

use super::scope::{Access, Area, Scope};
use crate::app::App;
use crate::http::body::{BodyLimit, DEFAULT_LIMIT};

/// What a caller needs for a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: the route shows what everyone may know.
    Nothing,
    /// A token with this scope. A token bound to an account sees that account alone.
    Account(Scope),
    /// A token with this scope that is bound to no account.
    Deployment(Scope),
}

impl Need {
    /// The scope, when one is needed.
    pub const fn scope(self) -> Option<Scope> {
        match self {
            Self::Nothing => None,
            Self::Account(scope) | Self::Deployment(scope) => Some(scope),
        }
    }
}

/// Needs a token with this scope; one bound to an account sees that account alone.
pub(crate) const fn account(area: Area, access: Access) -> Need {
    Need::Account(Scope::Area(area, access))
}

/// Needs a token with this scope that is bound to no account.
pub(crate) const fn deployment(area: Area, access: Access) -> Need {
    Need::Deployment(Scope::Area(area, access))
}

/// Needs the token of a gateway.
pub(crate) const fn gateway() -> Need {
    Need::Deployment(Scope::GatewaysConnect)
}

/// A route.
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    /// Below `/api/v1`, with `{name}` for parameters.
    pub(crate) path: &'static str,
    pub(crate) need: Need,
    pub(crate) doc: Doc,
    handler: MethodRouter<App>,
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident $method:ident),*) => {$(
        $(#[$doc])*
        pub(crate) fn $name<H, T>(path: &'static str, need: Need, handler: H, doc: Doc) -> Endpoint
        where
            H: Handler<T, App>,
            T: 'static,
        {
            Endpoint { method: Method::$method, path, need, doc, handler: on(MethodFilter::$method, handler) }
        }
    )*};
}

methods! {
    /// A GET route.
    get GET,
    /// A POST route; `Idempotency-Key` is honoured.
    post POST,
    /// A PUT route.
    put PUT,
    /// A PATCH route.
    patch PATCH,
    /// A DELETE route.
    delete DELETE
}

impl Endpoint {
    /// The same route for bodies of up to so many bytes.
    pub(crate) fn max_body(mut self, bytes: usize) -> Self {
        self.doc.max_body = bytes;
        self
    }

    /// The handler alone.
    pub(crate) fn handler(&self) -> MethodRouter<App> {
        self.handler.clone()
    }

    /// The limit of its body, as a layer.
    pub(crate) fn limit(&self) -> axum::Extension<BodyLimit> {
        axum::Extension(BodyLimit(self.doc.max_body))
    }
}

type Schemas = Vec<(String, RefOr<Schema>)>;

/// What the document says about a route.
pub(crate) struct Doc {
    tag: &'static str,
    operation: OperationBuilder,
    schemas: Schemas,
    max_body: usize,
}

impl Doc {
    /// The documentation of the operation `id`, listed under `tag`.
    pub(crate) fn new(tag: &'static str, id: &'static str, summary: &str) -> Self {
        let operation = OperationBuilder::new()
            .tag(tag)
            .operation_id(Some(id))
            .summary(Some(summary));
        Self {
            tag,
            operation,
            schemas: Vec::new(),
            max_body: DEFAULT_LIMIT,
        }
    }

    /// More about it.
    pub(crate) fn text(mut self, markdown: &str) -> Self {
        self.operation = self.operation.description(Some(markdown));
        self
    }

    /// Its query parameters.
    pub(crate) fn query<T: IntoParams>(mut self) -> Self {
        for parameter in T::into_params(|| Some(ParameterIn::Query)) {
            self.operation = self.operation.parameter(parameter);
        }
        self
    }

    /// Its body.
    pub(crate) fn body<T: ToSchema>(mut self) -> Self {
        let content = self.content::<T>();
        let body = RequestBodyBuilder::new()
            .content("application/json", content)
            .required(Some(Required::True))
            .build();
        self.operation = self.operation.request_body(Some(body));
        self
    }

    /// An answer with a body.
    pub(crate) fn answer<T: ToSchema>(mut self, status: u16, text: &str) -> Self {
        let content = self.content::<T>();
        let response = ResponseBuilder::new()
            .description(text)
            .content("application/json", content)
            .build();
        self.operation = self.operation.response(status.to_string(), response);
        self
    }

    /// An answer without a body.
    pub(crate) fn empty(mut self, status: u16, text: &str) -> Self {
        self.operation = self
            .operation
            .response(status.to_string(), ResponseBuilder::new().description(text).build());
        self
    }

    fn content<T: ToSchema>(&mut self) -> utoipa::openapi::Content {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(T::name())))
            .build()
    }

    /// Its group.
    pub(crate) fn tag(&self) -> &'static str {
        self.tag
    }
}

impl Endpoint {
    /// The operation of the document with the schemas that it names.
    pub(crate) fn operation(self) -> (HttpMethod, Operation, Schemas) {
        let problem = Ref::from_schema_name("Problem");
        let content = ContentBuilder::new().schema(Some(problem)).build();
        let default = ResponseBuilder::new()
            .description("Any error")
            .content("application/problem+json", content)
            .build();
        let mut operation = self.doc.operation.response("default", default);
        for name in parameters(self.path) {
            operation = operation.parameter(path_parameter(name));
        }
        if self.method == Method::POST {
            operation = operation.parameter(idempotency_key());
        }
        operation = match self.need.scope() {
            None => operation.securities(Some([utoipa::openapi::SecurityRequirement::default()])),
            Some(scope) => operation.security(utoipa::openapi::SecurityRequirement::new("token", [scope.to_string()])),
        };
        (http_method(&self.method), operation.build(), self.doc.schemas)
    }
}

/// The names between braces.
pub(crate) fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn path_parameter(name: &str) -> utoipa::openapi::path::Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()))
        .build()
}

fn idempotency_key() -> utoipa::openapi::path::Parameter {
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "The same key with the same body gives the same answer for 24 hours; with another body 422.",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()))
        .build()
}

fn http_method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::PATCH => HttpMethod::Patch,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}
