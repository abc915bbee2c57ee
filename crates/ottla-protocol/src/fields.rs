//! The table of fields: one declaration makes a message's struct, its codec and its shape.
//!
//! ```text
//! fields! {
//!     /// What the struct is.
//!     pub struct ListOffsetsPartition {
//!         /// What the field is.
//!         partition_index: i32,
//!         /// In versions 4 and later; -1 before.
//!         current_leader_epoch: i32 [4+] = -1,
//!         /// In versions 1 to 3, and null from 2.
//!         name: Option<StrBytes> [1-3, null 2+],
//!         /// The tagged field 0.
//!         rack: StrBytes [5+, tag 0],
//!     }
//! }
//! ```
//!
//! Fields stand in the order of the wire. A field's type says its encoding ([`crate::field`]); an
//! `Option` may be null in all versions unless `null` says from which. Where a version lacks a
//! field, decoding gives its default (after `=`, or the type's own) and encoding drops it. Tagged
//! fields with their default are not written, as the protocol wants it.

/// Declares structs by their fields; see the module.
macro_rules! fields {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {$(
            $(#[$field_meta:meta])*
            $field:ident : $type:ty
                $([ $first:literal $(- $last:literal)? $(+)?
                    $(, tag $tag:literal)? $(, null $null:literal +)? ])?
                $(= $default:expr)?,
        )*}
    )+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($field: fields!(@or Default::default() $(, $default)?),)*
                }
            }
        }

        impl $name {
            /// What the struct looks like on the wire.
            pub(crate) const SHAPE: $crate::shape::Shape = $crate::shape::Shape {
                name: stringify!($name),
                memory: size_of::<Self>(),
                fields: &[$($crate::shape::FieldShape {
                    name: stringify!($field),
                    first: fields!(@or 0 $(, $first)?),
                    last: fields!(@last $($first $(- $last)?)?),
                    null_from: if <$type as $crate::field::Field>::NULLABLE {
                        fields!(@or 0 $($(, $null)?)?)
                    } else {
                        i16::MAX
                    },
                    tag: fields!(@tag $($($tag)?)?),
                    kind: <$type as $crate::field::Field>::KIND,
                }),*],
            };
        }

        impl $crate::field::Field for $name {
            const KIND: $crate::shape::Kind = $crate::shape::Kind::Struct(&Self::SHAPE);

            #[allow(unused_mut, unused_variables, reason = "a struct may have no such fields")]
            fn read(
                input: &mut $crate::field::Reader<'_>,
                form: $crate::field::Form,
            ) -> Result<Self, $crate::wire::Fault> {
                let mut read = Self::default();
                $(fields!(@read read.$field, input, form,
                    [$($first $(- $last)?)?], [$($($null)?)?], [$($($tag)?)?]);)*
                if form.flexible {
                    for _ in 0..input.cursor.varint()? {
                        let (tag, inside) = input.tagged()?;
                        $(fields!(@read_tagged read.$field, inside, tag, form,
                            [$($first $(- $last)?)?], [$($($null)?)?], [$($($tag)?)?]);)*
                    }
                }
                Ok(read)
            }

            #[allow(unused_mut, unused_variables, reason = "a struct may have no such fields")]
            fn write<S: $crate::field::Sink>(
                &self,
                out: &mut S,
                form: $crate::field::Form,
            ) -> Result<(), $crate::field::EncodeError> {
                $(fields!(@write self.$field, out, form,
                    [$($first $(- $last)?)?], [$($($null)?)?], [$($($tag)?)?]);)*
                if form.flexible {
                    let mut tagged = 0_u32;
                    $(fields!(@count self.$field, tagged, form, $type,
                        [$($first $(- $last)?)?], [$($($tag)?)?], [$($default)?]);)*
                    out.varint(tagged);
                    $(fields!(@write_tagged self.$field, out, form, $type,
                        [$($first $(- $last)?)?], [$($($null)?)?], [$($($tag)?)?],
                        [$($default)?]);)*
                }
                Ok(())
            }
        }

        impl $crate::field::Field for Option<$name> {
            const KIND: $crate::shape::Kind = $crate::shape::Kind::Maybe(&$name::SHAPE);
            const NULLABLE: bool = true;

            fn read(
                input: &mut $crate::field::Reader<'_>,
                form: $crate::field::Form,
            ) -> Result<Self, $crate::wire::Fault> {
                if input.cursor.i8()? >= 0 {
                    return <$name as $crate::field::Field>::read(input, form).map(Some);
                }
                if form.nullable { Ok(None) } else { Err($crate::wire::Fault::Null) }
            }

            fn write<S: $crate::field::Sink>(
                &self,
                out: &mut S,
                form: $crate::field::Form,
            ) -> Result<(), $crate::field::EncodeError> {
                match self {
                    Some(present) => {
                        out.put(&[1]);
                        present.write(out, form)
                    }
                    None => {
                        out.put(&[0xff]);
                        Ok(())
                    }
                }
            }
        }
    )+};

    // A value or, where one was given, another.
    (@or $or:expr) => { $or };
    (@or $or:expr, $given:expr) => { $given };
    (@tag) => { None };
    (@tag $tag:literal) => { Some($tag) };
    // The last version of `[first]`, `[first - last]` or no bracket.
    (@last) => { i16::MAX };
    (@last $first:literal) => { i16::MAX };
    (@last $first:literal - $last:literal) => { $last };
    // Whether a version has a field.
    (@in $form:ident, []) => { true };
    (@in $form:ident, [$first:literal]) => { $form.version >= $first };
    (@in $form:ident, [$first:literal - $last:literal]) => {
        ($first..=$last).contains(&$form.version)
    };
    // The form of a field's value.
    (@form $form:ident, []) => { $crate::field::Form { nullable: true, ..$form } };
    (@form $form:ident, [$null:literal]) => {
        $crate::field::Form { nullable: $form.version >= $null, ..$form }
    };
    // Fields in their place: all but tagged ones.
    (@read $read:ident.$field:ident, $input:ident, $form:ident, $in:tt, $null:tt, []) => {
        if fields!(@in $form, $in) {
            $read.$field = $crate::field::Field::read($input, fields!(@form $form, $null))?;
        }
    };
    (@read
        $read:ident.$field:ident, $input:ident, $form:ident, $in:tt, $null:tt, [$tag:literal]
    ) => {};
    (@write $self:ident.$field:ident, $out:ident, $form:ident, $in:tt, $null:tt, []) => {
        if fields!(@in $form, $in) {
            $self.$field.write($out, fields!(@form $form, $null))?;
        }
    };
    (@write
        $self:ident.$field:ident, $out:ident, $form:ident, $in:tt, $null:tt, [$tag:literal]
    ) => {};
    // Tagged fields, at the end of the struct.
    (@read_tagged
        $read:ident.$field:ident, $inside:ident, $is:ident, $form:ident, $in:tt, $null:tt, []
    ) => {};
    (@read_tagged
        $read:ident.$field:ident, $inside:ident, $is:ident, $form:ident, $in:tt, $null:tt,
        [$tag:literal]
    ) => {
        if $is == $tag && fields!(@in $form, $in) {
            $read.$field = $inside.only(fields!(@form $form, $null))?;
        }
    };
    (@count
        $self:ident.$field:ident, $count:ident, $form:ident, $type:ty, $in:tt, [], $default:tt
    ) => {};
    (@count
        $self:ident.$field:ident, $count:ident, $form:ident, $type:ty, $in:tt, [$tag:literal],
        $default:tt
    ) => {
        let written = $self.$field != fields!(@default $type, $default);
        $count += u32::from(fields!(@in $form, $in) && written);
    };
    (@write_tagged
        $self:ident.$field:ident, $out:ident, $form:ident, $type:ty, $in:tt, $null:tt, [],
        $default:tt
    ) => {};
    (@write_tagged
        $self:ident.$field:ident, $out:ident, $form:ident, $type:ty, $in:tt, $null:tt,
        [$tag:literal], $default:tt
    ) => {
        if fields!(@in $form, $in) && $self.$field != fields!(@default $type, $default) {
            $crate::field::write_tagged($out, $tag, &$self.$field, fields!(@form $form, $null))?;
        }
    };
    (@default $type:ty, []) => { <$type>::default() };
    (@default $type:ty, [$default:expr]) => { $default };
}

pub(crate) use fields;
