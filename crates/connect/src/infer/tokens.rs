//! Text → tokens: the delimiters `: , { } [ ] "` where no backslash stands before them, and what lies between.

pub(super) struct Tokens<'a> {
    text: &'a str,
    position: usize,
    /// Looked at but not taken.
    next: Option<&'a str>,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, position: 0, next: None }
    }

    pub(super) fn has_next(&self) -> bool {
        self.next.is_some() || self.position < self.text.len()
    }

    pub(super) fn mark(&self) -> usize {
        self.position - self.next.map_or(0, str::len)
    }

    pub(super) fn rewind(&mut self, mark: usize) {
        self.position = mark;
        self.next = None;
    }

    pub(super) fn next(&mut self) -> Option<&'a str> {
        match self.next.take() {
            Some(token) => Some(token),
            None => self.read(),
        }
    }

    /// Takes the next token when it is `expected`.
    pub(super) fn take(&mut self, expected: &str) -> bool {
        if self.next.is_none() {
            self.next = self.read();
        }
        let matches = self.next == Some(expected);
        if matches {
            self.next = None;
        }
        matches
    }

    /// As [`Self::take`], passing over white space around the token.
    pub(super) fn take_trimmed(&mut self, expected: &str) -> bool {
        if self.next.is_none() {
            self.next = self.read();
        }
        while self.next.is_some_and(|token| token.trim().is_empty()) && self.position < self.text.len() {
            self.next = self.read();
        }
        let matches = self.next.is_some_and(|token| token.trim() == expected);
        if matches {
            self.next = None;
        }
        matches
    }

    /// Whether nothing but white space is left.
    pub(super) fn is_spent(&mut self) -> bool {
        self.next.is_none_or(|token| token.trim().is_empty()) && self.text[self.position..].trim().is_empty()
    }

    fn read(&mut self) -> Option<&'a str> {
        let rest = &self.text[self.position..];
        let mut escaped = false;
        let mut end = rest.len();
        for (index, character) in rest.char_indices() {
            match character {
                '\\' => escaped = !escaped,
                ':' | ',' | '{' | '}' | '[' | ']' | '"' if !escaped => {
                    end = index.max(1);
                    break;
                }
                _ => escaped = false,
            }
        }
        self.position += end;
        (end > 0).then(|| &rest[..end])
    }
}
