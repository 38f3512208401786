// Where the media plane's memory lies. Must not know what is in it.
import CLinux

public enum LargePages {
    /// Puts the heap on large pages, by starting this program again in the same process: what is read of a thousand
    /// subscribers for each packet lies on more small pages than the processor remembers the places of. To be called
    /// before anything else; without effect where the kernel has none to give (`transparent_hugepage/enabled` is
    /// `never`), or where GLIBC_TUNABLES is set.
    public static func use() { clinux_restart_on_large_pages() }
}
