//! Requests as code of ten languages.
//!
//! Invariant: a sample sends exactly what its [`Request`] says; whatever stands in names and values, it cannot leave the
//! text in quotes that it is put into.

mod compiled;
mod lexer;
mod quote;
mod scripts;
mod services;

use crate::highlight::span;
use crate::html::Html;
use crate::request::Request;

/// A language of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// curl in a shell.
    Curl,
    /// Python with requests.
    Python,
    /// JavaScript with fetch.
    JavaScript,
    /// TypeScript with fetch.
    TypeScript,
    /// Go with net/http.
    Go,
    /// Java with java.net.http.
    Java,
    /// C# with `HttpClient`.
    CSharp,
    /// PHP with curl.
    Php,
    /// Ruby with net/http.
    Ruby,
    /// Rust with reqwest.
    Rust,
}

impl Language {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 10] = [
        Self::Curl,
        Self::Python,
        Self::JavaScript,
        Self::TypeScript,
        Self::Go,
        Self::Java,
        Self::CSharp,
        Self::Php,
        Self::Ruby,
        Self::Rust,
    ];

    /// Name for readers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
            Self::TypeScript => "TypeScript",
            Self::Go => "Go",
            Self::Java => "Java",
            Self::CSharp => "C#",
            Self::Php => "PHP",
            Self::Ruby => "Ruby",
            Self::Rust => "Rust",
        }
    }

    /// Name for addresses, forms and Markdown.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Curl => "sh",
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::TypeScript => "typescript",
            Self::Go => "go",
            Self::Java => "java",
            Self::CSharp => "csharp",
            Self::Php => "php",
            Self::Ruby => "ruby",
            Self::Rust => "rust",
        }
    }
}

/// What a piece of code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A word of the language.
    Keyword,
    /// Text in quotes.
    Text,
    /// A number or a constant of the language.
    Number,
    /// A comment.
    Comment,
}

impl Class {
    /// The class in the style sheet: `k`, `s`, `n` or `c`.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Keyword => 'k',
            Self::Text => 's',
            Self::Number => 'n',
            Self::Comment => 'c',
        }
    }
}

/// Code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The text.
    pub text: String,
    language: Language,
}

impl Code {
    /// The pieces of the code, each with what it is; together they are the text.
    #[must_use]
    pub fn spans(&self) -> Vec<(Option<Class>, &str)> {
        lexer::spans(&self.text, self.language)
    }

    /// The code in colours.
    #[must_use]
    pub fn html(&self) -> Html {
        let mut out = String::with_capacity(self.text.len() * 2);
        for (class, text) in self.spans() {
            match class {
                Some(class) => span(class.letter(), text, &mut out),
                None => crate::html::escape(text, &mut out),
            }
        }
        Html::trusted(out)
    }
}

/// The request in a language.
#[must_use]
pub fn print(request: &Request, language: Language) -> Code {
    let text = match language {
        Language::Curl => scripts::curl(request),
        Language::Python => scripts::python(request),
        Language::JavaScript => scripts::javascript(request, false),
        Language::TypeScript => scripts::javascript(request, true),
        Language::Go => compiled::go(request),
        Language::Java => compiled::java(request),
        Language::CSharp => services::csharp(request),
        Language::Php => services::php(request),
        Language::Ruby => services::ruby(request),
        Language::Rust => compiled::rust(request),
    };
    Code { text, language }
}

#[cfg(test)]
mod tests;
