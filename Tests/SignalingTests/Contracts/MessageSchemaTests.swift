import Testing

@testable import Signaling

@Suite struct MessageSchemaTests {
    private let contract: Contract
    private let validator: SchemaValidator

    init() throws {
        contract = try Contract()
        validator = try SchemaValidator(contract.messageSchema)
    }

    private func client(_ text: String) throws -> String? {
        validator.fault(try JSONReader.read(text), as: "ClientEnvelope", isClosed: false)
    }
    private func server(_ text: String) throws -> String? {
        validator.fault(try JSONReader.read(text), as: "ServerEnvelope", isClosed: true)
    }

    @Test(arguments: [
        #"{"type":"hello"}"#,
        #"{"type":"hello","v":"1.0","data":{"token":"t","caps":["batch","later"],"unknown":1}}"#,
        #"{"type":"track.mute","id":1,"ack":0,"trace":null,"data":{"cid":"cam","muted":true}}"#,
        #"{"type":"mod.spotlight","id":1,"data":{"pid":null}}"#,
        #"{"type":"me.update","id":1,"data":{"attrs":{"a":"b","c":null}}}"#,
        #"{"type":"ping","data":null}"#,
        #"{"type":"data.send","data":{"topic":"t","payload":[1,{"a":null}]}}"#,
    ])
    func takesWhatClientsSend(_ text: String) throws { #expect(try client(text) == nil) }

    @Test(arguments: [
        #"{"id":1}"#, #"{"type":"nothing"}"#, #"{"type":"track.mute","data":{"muted":true}}"#,
        #"{"type":"track.mute","id":1}"#, #"{"type":"track.mute","id":1,"data":{"muted":"yes"}}"#,
        #"{"type":"track.mute","id":-1,"data":{"muted":true}}"#,
        #"{"type":"track.publish","id":1,"data":{"cid":"c","kind":"smell"}}"#,
        #"{"type":"view.update","data":{"tiles":[{"w":"1"}]}}"#,
    ])
    func refusesWhatTheServerRefuses(_ text: String) throws { #expect(try client(text) != nil) }

    @Test(arguments: [
        #"{"re":1,"rev":2,"data":{"ok":true}}"#,
        #"{"re":1,"error":{"code":"not_found","message":"no","retryable":false}}"#,
        #"{"seq":1,"rev":2,"type":"conn","ts":3,"data":{"pid":"pa_1","conn":"active"}}"#,
        #"{"type":"pong","data":{"serverTime":1}}"#,
        #"{"seq":1,"type":"data","data":{"topic":"t","mid":"m","payload":null,"relaySeq":1}}"#,
        #"{"type":"data","data":{"topic":"t","mid":"m","payload":null}}"#,
    ])
    func takesWhatServersSend(_ text: String) throws { #expect(try server(text) == nil) }

    @Test(arguments: [
        // No sequence where there must be one, one where there must be none, an unknown field, a wrong value, no code.
        #"{"type":"conn","data":{"pid":"pa_1","conn":"active"}}"#,
        #"{"seq":1,"type":"pong","data":{"serverTime":1}}"#,
        #"{"type":"pong","data":{"serverTime":1,"more":2}}"#,
        #"{"seq":1,"type":"conn","data":{"pid":"pa_1","conn":"asleep"}}"#,
        #"{"re":1,"error":{"message":"no","retryable":false}}"#, #"{"re":1}"#,
        #"{"re":1,"data":{},"type":"pong"}"#,
    ])
    func refusesWhatServersNeverSend(_ text: String) throws { #expect(try server(text) != nil) }

    @Test func resultsBelongToTheirRequests() throws {
        let mute = try JSONReader.read(#"{"re":1,"data":{"ok":true}}"#)
        #expect(validator.fault(mute, as: "result.leave", isClosed: true) == nil)
        #expect(validator.fault(mute, as: "result.track.mute", isClosed: true) != nil)
    }

    /// The server reads null as absence in what clients write, and never writes it.
    @Test func onlyWhatClientsWriteMayBeNull() {
        let types = contract.requestTypes
        #expect(types.contains("Hello") && types.contains("UpdateViewTile") && types.contains("PublishTrack"))
        #expect(!types.contains("TrackObject") && !types.contains("Source"))
        let tile = contract.lenientDefinitions["UpdateViewTile"]?["properties"]?["w"]
        #expect(tile?["anyOf"] == [["type": "number"], ["type": "null"]])
        #expect(contract.lenientDefinitions["TrackObject"]?["properties"]?["cid"]?["type"] == "string")
    }

    @Test func unknownKeywordsAreNoticed() throws {
        #expect(throws: SchemaValidator.UnknownKeyword.self) {
            try SchemaValidator(["$defs": ["A": ["type": "string", "pattern": "a"]]])
        }
    }

    @Test(arguments: ["", "{", "{\"a\":}", "[1,]", "nul", "\"open", "{\"a\":1}x", "01x", "'a'"])
    func whatIsNoJSONIsRefused(_ text: String) {
        #expect(throws: JSONReader.Malformed.self) { try JSONReader.read(text) }
    }

    @Test func jsonIsRead() throws {
        let value = try JSONReader.read(#" {"a":[1,-2.5,true,null,"x\n\"é"],"b":{}} "#)
        #expect(value == ["a": [1, .number(-2.5), true, .null, "x\n\"é"], "b": [:]])
    }
}
