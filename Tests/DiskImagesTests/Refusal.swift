import DiskImages

/// What `body` throws; nil where it does not.
func refusal(_ body: () throws(ImageError) -> Void) -> ImageError? {
    do throws(ImageError) {
        try body()
        return nil
    } catch {
        return error
    }
}
