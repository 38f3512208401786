// Every bound of the server, in one place, with its unit. docs/limits.md shows the same table; a test compares them.

/// Bounds that keep memory, time and traffic finite. One nested enum per room of the house.
public enum Limits {
    /// Packets and streams.
    public enum Media {
        /// Largest datagram that is received, bytes. RFC 4571 frames above it close the connection.
        public static let datagramBytes = 1500
        /// Largest RTP packet that we send before SRTP, bytes.
        public static let rtpPacketBytes = 1200
        /// Most negotiated m-sections of one session.
        public static let sectionsPerSession = 128
        /// Most inbound SSRCs of one session.
        public static let receiveStreamsPerSession = 64
        /// Most simulcast encodings of one publication.
        public static let encodingsPerPublication = 4
    }
}
