extension String {
    /// At most so many Unicode scalars of the beginning. One `Character` may have any length.
    package func firstScalars(_ count: Int) -> String {
        String(UnicodeScalarView(unicodeScalars.prefix(count)))
    }
}
