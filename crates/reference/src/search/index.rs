//! The index.

use std::collections::{HashMap, HashSet};

use description::openapi::references::lookup;
use serde_json::Value;
use tantivy::collector::TopDocs;
use tantivy::query::{
    BooleanQuery, BoostQuery, ConstScoreQuery, FuzzyTermQuery, Occur, Query, TermQuery, TermSetQuery,
};
use tantivy::schema::{Field, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value as _};
use tantivy::{Index, IndexReader, TantivyDocument, Term};

use super::fragment::fragment;
use super::words::{Words, split};
use super::{Found, Guide, Hit, Source, paths};
use crate::entry::Entry;
use crate::html::clip;
use crate::prose;
use crate::reference::Reference;

/// The index could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("the search index cannot be used: {0}")]
pub struct Broken(#[from] tantivy::TantivyError);

/// Bytes of prose of one page that are searched.
const PROSE: usize = 4_000;
const GUIDE: usize = 200_000;
/// Names of fields of one page that are searched.
const NAMES: usize = 400;
/// Words of a query.
const WORDS: usize = 12;
/// Bytes that the writer may use; the library wants no less.
const MEMORY: usize = 32 << 20;

/// What can be found.
struct Item {
    kind: Found,
    key: usize,
    slug: String,
    title: String,
    method: Option<String>,
    path: Option<String>,
    text: String,
}

#[derive(Clone, Copy)]
struct Fields {
    id: Field,
    key: Field,
    title: Field,
    path: Field,
    names: Field,
    prose: Field,
}

/// An index in memory.
pub struct SearchIndex {
    items: Vec<Item>,
    keys: Vec<String>,
    /// Operations by the shapes of their paths.
    paths: HashMap<String, Vec<usize>>,
    reader: IndexReader,
    fields: Fields,
}

impl std::fmt::Debug for SearchIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SearchIndex")
            .field("items", &self.items.len())
            .finish_non_exhaustive()
    }
}

impl SearchIndex {
    /// Indexes documents and guides.
    ///
    /// # Errors
    /// The index cannot be made, for want of memory or threads.
    pub fn build(sources: &[Source<'_>], guides: &[Guide<'_>]) -> Result<Self, Broken> {
        let (schema, fields) = schema();
        let index = Index::create_in_ram(schema);
        index.tokenizers().register("words", Words);
        let mut filler = Filler {
            writer: index.writer_with_num_threads(1, MEMORY)?,
            fields,
            items: Vec::new(),
            keys: Vec::new(),
            paths: HashMap::new(),
        };
        for source in sources {
            filler.source(source)?;
        }
        for guide in guides {
            let text = prose::plain_text(guide.text.get(..GUIDE.min(guide.text.len())).unwrap_or(guide.text));
            filler.add(guide.key, Found::Guide, guide.path, guide.title, None, "", &text)?;
        }
        filler.writer.commit()?;
        Ok(Self {
            items: filler.items,
            keys: filler.keys,
            paths: filler.paths,
            reader: index.reader()?,
            fields,
        })
    }

    /// Searches the documents whose keys `allowed` accepts.
    #[must_use]
    pub fn search(&self, query: &str, allowed: &dyn Fn(&str) -> bool, limit: usize) -> Vec<Hit> {
        let keys: Vec<bool> = self.keys.iter().map(|key| allowed(key)).collect();
        let asked: Vec<String> = words(query);
        let mut order: Vec<usize> = self.by_path(query);
        let mut seen: HashSet<usize> = order.iter().copied().collect();
        order.retain(|item| {
            self.items
                .get(*item)
                .is_some_and(|item| keys.get(item.key) == Some(&true))
        });
        if order.len() < limit {
            let found = self.by_words(&asked, &keys, limit).unwrap_or_default();
            order.extend(found.into_iter().filter(|item| seen.insert(*item)));
        }
        order
            .into_iter()
            .take(limit)
            .filter_map(|item| self.hit(item, &asked))
            .collect()
    }

    fn hit(&self, item: usize, asked: &[String]) -> Option<Hit> {
        let item = self.items.get(item)?;
        Some(Hit {
            kind: item.kind,
            key: self.keys.get(item.key)?.clone(),
            slug: item.slug.clone(),
            title: item.title.clone(),
            method: item.method.clone(),
            path: item.path.clone(),
            fragment: fragment(&item.text, asked),
        })
    }

    /// Operations whose path is asked for: the same path first, then those that it is an instance of.
    fn by_path(&self, query: &str) -> Vec<usize> {
        const MOST: usize = 200;
        let Some(asked) = paths::query(query) else {
            return Vec::new();
        };
        let mut found = self.paths.get(&asked.shape).cloned().unwrap_or_default();
        if found.is_empty() {
            let fitting = self.paths.iter().filter(|(shape, _)| paths::fits(shape, &asked.shape));
            found.extend(fitting.flat_map(|(_, items)| items.iter().copied()));
        }
        if found.is_empty() && asked.shape.len() > 1 {
            // Without the prefix that servers add, or the beginning of a longer path.
            let near = |shape: &str| shape.ends_with(&asked.shape) || shape.starts_with(&asked.shape);
            let mut fitting: Vec<_> = self.paths.iter().filter(|(shape, _)| near(shape)).collect();
            fitting.sort_by_key(|(shape, _)| (shape.len(), *shape));
            found.extend(
                fitting
                    .into_iter()
                    .flat_map(|(_, items)| items.iter().copied())
                    .take(MOST),
            );
        } else {
            found.sort_unstable();
        }
        if let Some(method) = asked.method {
            let is_method = |item: &usize| self.items.get(*item).and_then(|item| item.method.as_ref()) == Some(&method);
            found.sort_by_key(|item| !is_method(item));
        }
        found
    }

    fn by_words(&self, asked: &[String], keys: &[bool], limit: usize) -> Result<Vec<usize>, Broken> {
        if asked.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        // Typos are only looked for where nothing is spelled so: they cost time and find too much.
        for (occur, typos) in [(Occur::Must, false), (Occur::Must, true), (Occur::Should, true)] {
            let found = self.run(self.query(asked, occur, typos), keys, limit)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    fn run(&self, query: BooleanQuery, keys: &[bool], limit: usize) -> Result<Vec<usize>, Broken> {
        let mut query: Box<dyn Query> = Box::new(query);
        if keys.contains(&false) {
            let allowed = keys.iter().enumerate().filter(|(_, allowed)| **allowed);
            let terms: Vec<Term> = allowed
                .map(|(key, _)| Term::from_field_text(self.fields.key, &key.to_string()))
                .collect();
            if terms.is_empty() {
                return Ok(Vec::new());
            }
            let filter = ConstScoreQuery::new(Box::new(TermSetQuery::new(terms)), 0.0);
            query = Box::new(BooleanQuery::new(vec![
                (Occur::Must, query),
                (Occur::Must, Box::new(filter)),
            ]));
        }
        let searcher = self.reader.searcher();
        let found = searcher.search(&query, &TopDocs::with_limit(limit.min(1_000)).order_by_score())?;
        let mut items = Vec::with_capacity(found.len());
        for (_, address) in found {
            let document: TantivyDocument = searcher.doc(address)?;
            let id = document.get_first(self.fields.id).and_then(|value| value.as_u64());
            items.extend(id.and_then(|id| usize::try_from(id).ok()));
        }
        Ok(items)
    }

    /// Each word in any field: as it is, as a beginning, or with typos.
    #[expect(clippy::float_arithmetic, reason = "weights of scores")]
    fn query(&self, asked: &[String], occur: Occur, with_typos: bool) -> BooleanQuery {
        let fields = [
            (self.fields.title, 6.0),
            (self.fields.path, 4.0),
            (self.fields.names, 2.0),
            (self.fields.prose, 1.0),
        ];
        let mut all: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        for word in asked {
            let letters = word.chars().count();
            let typos = match letters {
                _ if !with_typos => 0,
                0..=3 => 0,
                4..=5 => 1,
                _ => 2,
            };
            let mut any: Vec<(Occur, Box<dyn Query>)> = Vec::new();
            for (field, weight) in fields {
                let term = Term::from_field_text(field, word);
                let mut put = |query: Box<dyn Query>, factor: f32| {
                    any.push((Occur::Should, Box::new(BoostQuery::new(query, factor))));
                };
                put(
                    Box::new(TermQuery::new(term.clone(), IndexRecordOption::WithFreqs)),
                    weight,
                );
                if letters >= 3 {
                    put(
                        Box::new(FuzzyTermQuery::new_prefix(term.clone(), 0, true)),
                        weight / 4.0,
                    );
                }
                for distance in 1..=typos {
                    put(
                        Box::new(FuzzyTermQuery::new(term.clone(), distance, true)),
                        weight / 8.0,
                    );
                }
            }
            all.push((occur, Box::new(BooleanQuery::new(any))));
        }
        BooleanQuery::new(all)
    }
}

/// Words of a query, each once.
fn words(query: &str) -> Vec<String> {
    const LONGEST: usize = 400;
    let mut asked: Vec<String> = Vec::new();
    for (_, _, word) in split(&clip(query, LONGEST)) {
        // Parts of a word in camel case would only repeat it.
        if asked.len() < WORDS && !asked.contains(&word) && !asked.last().is_some_and(|last| last.contains(&word)) {
            asked.push(word);
        }
    }
    asked
}

fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer("words")
        .set_index_option(IndexRecordOption::WithFreqs);
    let text = TextOptions::default().set_indexing_options(indexing);
    let fields = Fields {
        id: builder.add_u64_field("id", STORED),
        key: builder.add_text_field("key", STRING),
        title: builder.add_text_field("title", text.clone()),
        path: builder.add_text_field("path", text.clone()),
        names: builder.add_text_field("names", text.clone()),
        prose: builder.add_text_field("prose", text),
    };
    (builder.build(), fields)
}

struct Filler {
    writer: tantivy::IndexWriter,
    fields: Fields,
    items: Vec<Item>,
    keys: Vec<String>,
    paths: HashMap<String, Vec<usize>>,
}

impl Filler {
    fn source(&mut self, source: &Source<'_>) -> Result<(), Broken> {
        let reference = source.reference;
        for (kind, entries) in [
            (Found::Operation, reference.entries()),
            (Found::Webhook, reference.webhooks()),
        ] {
            for entry in entries {
                let operation = lookup(&reference.document, &entry.pointer).unwrap_or(&Value::Null);
                let text = operation.get("description").and_then(Value::as_str).unwrap_or_default();
                let text = prose::plain_text(&clip(text, PROSE));
                let names = operation_names(reference, entry, operation);
                if kind == Found::Operation {
                    let shape = paths::shape(&entry.path);
                    self.paths.entry(shape).or_default().push(self.items.len());
                }
                self.add(source.key, kind, &entry.slug, &entry.title, Some(entry), &names, &text)?;
            }
        }
        for entry in reference.schemas() {
            let Some(schema) = lookup(&reference.document, &entry.pointer) else {
                continue;
            };
            let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            let text = prose::plain_text(&clip(text, PROSE));
            let mut names = Vec::new();
            field_names(schema, 0, &mut names);
            self.add(
                source.key,
                Found::Schema,
                &entry.slug,
                &entry.name,
                None,
                &names.join(" "),
                &text,
            )?;
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one for each field of the index")]
    fn add(
        &mut self,
        key: &str,
        kind: Found,
        slug: &str,
        title: &str,
        entry: Option<&Entry>,
        names: &str,
        text: &str,
    ) -> Result<(), Broken> {
        let key = self.keys.iter().position(|known| known == key).unwrap_or_else(|| {
            self.keys.push(key.to_owned());
            self.keys.len() - 1
        });
        let mut document = TantivyDocument::default();
        document.add_u64(self.fields.id, u64::try_from(self.items.len()).unwrap_or(u64::MAX));
        document.add_text(self.fields.key, key.to_string());
        document.add_text(self.fields.title, title);
        if let Some(entry) = entry {
            document.add_text(self.fields.path, &entry.path);
            document.add_text(self.fields.path, entry.operation_id.as_deref().unwrap_or_default());
            document.add_text(self.fields.path, &entry.method);
        }
        document.add_text(self.fields.names, names);
        document.add_text(self.fields.prose, text);
        self.writer.add_document(document)?;
        self.items.push(Item {
            kind,
            key,
            slug: slug.to_owned(),
            title: title.to_owned(),
            method: entry.map(|entry| entry.method.clone()),
            path: entry
                .filter(|_| kind == Found::Operation)
                .map(|entry| entry.path.clone()),
            text: if text.is_empty() {
                clip(names, 400)
            } else {
                clip(text, PROSE)
            },
        });
        Ok(())
    }
}

/// Names of the parameters and of the first fields of the body.
fn operation_names(reference: &Reference, entry: &Entry, operation: &Value) -> String {
    let mut names: Vec<&str> = entry
        .parameters
        .iter()
        .map(|parameter| parameter.name.as_str())
        .collect();
    if let Some(body) = crate::operation::media::request(reference, entry, operation) {
        for media in body.media.into_iter().take(1) {
            if let Some(crate::operation::media::Schema::Own(schema)) = media.schema {
                field_names(schema, 0, &mut names);
            }
        }
    }
    names.join(" ")
}

/// Names of fields that stand in a schema itself; those of others are found with them.
fn field_names<'a>(schema: &'a Value, depth: usize, names: &mut Vec<&'a str>) {
    const DEEPEST: usize = 4;
    if depth > DEEPEST {
        return;
    }
    for (name, field) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        if names.len() >= NAMES {
            return;
        }
        names.push(name);
        field_names(field, depth + 1, names);
    }
    for word in ["allOf", "oneOf", "anyOf"] {
        for member in schema
            .get(word)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .take(50)
        {
            field_names(member, depth + 1, names);
        }
    }
    if let Some(items) = schema.get("items") {
        field_names(items, depth + 1, names);
    }
}
