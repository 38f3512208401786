import Testing

@testable import Signaling

@Suite struct SourceCommentsTests {
    private static let source = """
        // A file.

        /// A thing
        /// of two lines.
        public struct Thing: Codable {
            /// Inside.
            public enum Colour: String, CaseIterable, Codable {
                /// Warm.
                case red, orange = "o"
                case blue

                var isWarm: Bool {
                    switch self {
                    /// Not a value.
                    case .red: true
                    default: false
                    }
                }
            }
            /// Its name.
            public var name: String
            public var other: Int
            /// Called otherwise on the wire.
            var `self`: Bool
            /// Has another key.
            public var receivesOwn = false
            enum CodingKeys: String, CodingKey {
                case name, other, `self`
                case receivesOwn = "own"
            }
            /// No field.
            func work() {
                /// Nor this.
                let local = 1
            }
        }
        extension Thing.Colour {
            /// Neither text of the type.
            struct Mix: Codable {
                /// Parts.
                var parts: [Int]
            }
        }
        struct Empty: Codable {}
        /// After an empty one.
        struct Last: Codable {}
        /// Not on any wire, and called as `ThingColour` would be.
        final class Thing2 {
            /// Nor this.
            enum Colour {
                /// Cold.
                case red
            }
        }
        """
    private let comments = SourceComments(sources: [Self.source])

    @Test func typesAndFields() {
        #expect(comments.text(of: "Thing") == "A thing of two lines.")
        #expect(comments.text(of: "Thing.name") == "Its name.")
        #expect(comments.text(of: "Thing.other") == nil)
        #expect(comments.text(of: "Thing.self") == "Called otherwise on the wire.")
        #expect(comments.text(of: "Thing.local") == nil)
        #expect(comments.text(of: "Last") == "After an empty one.")
        #expect(comments.text(of: "Thing2") == nil)
    }

    @Test func fieldsAreCalledAsTheirKeysSay() {
        #expect(comments.text(of: "Thing.own") == "Has another key.")
        #expect(comments.text(of: "Thing.receivesOwn") == nil)
    }

    @Test func casesAndNestedTypes() {
        #expect(comments.text(ofEnumeration: "Thing2Colour") == nil)
        #expect(comments.text(ofEnumeration: "ThingColour") == "Inside.\n`red`, `o`: Warm.")
        #expect(comments.text(of: "ThingColourMix.parts") == "Parts.")
    }

    /// Where this fails the sources are written in another way than the reader knows.
    @Test func theSourcesAreUnderstood() throws {
        let comments = try ContractFiles.comments()
        #expect(comments.text(of: "TrackObject.mid")?.hasPrefix("The publisher's m-section") == true)
        #expect(comments.text(of: "Grants.self") == "Receives what the same user publishes.")
        #expect(comments.text(ofEnumeration: "WelcomeOutcome")?.contains("`rejoin`: ") == true)
        let contract = try Contract(comments: comments)
        let fields = contract.definitions.values.flatMap { $0["properties"]?.members.values.map { $0 } ?? [] }
        #expect(fields.filter { $0["description"] != nil }.count > 80)
    }
}
