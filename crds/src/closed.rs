//! The macro for closed sets of words: one list makes the enum, its texts and its schema.
//!
//! In: variants with their docs. Out: an enum that reads and writes as the variant's name, and whose schema is the
//! list of these names. Law: the schema's `enum` and what serde reads are the same list (test
//! `a_closed_word_reads_what_it_writes`). Not: sets that may grow from outside.

/// Makes a closed enum whose texts are its variants' names.
///
/// schemars' own derive writes documented variants as `oneOf`, which is not structural in Kubernetes' sense: hence a
/// hand-made schema.
macro_rules! closed_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $( $(#[$variant_meta:meta])* $variant:ident, )+ }
    ) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name { $( $(#[$variant_meta])* $variant, )+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The word as it stands in a resource.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => stringify!($variant), )+ }
            }

            /// The value of this word, if there is one; case matters, as everywhere in Kubernetes.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [ $( stringify!($variant), )+ ] })
            }
        }
    };
}
pub(crate) use closed_enum;
