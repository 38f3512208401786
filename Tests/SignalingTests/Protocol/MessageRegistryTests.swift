import Testing

@testable import Signaling

@Suite struct MessageRegistryTests {
    @Test func everyMessageHasExactlyOneEntry() {
        let inwards = MessageDescriptor.all.filter { $0.direction == .toServer }.map(\.type)
        let outwards = MessageDescriptor.all.filter { $0.direction == .toClient }.map(\.type)
        #expect(inwards.sorted() == ClientMessage.allCases.map(\.rawValue).sorted())
        #expect(outwards.sorted() == ServerMessage.allCases.map(\.rawValue).sorted())
    }

    @Test func everyCriticalMessageSaysHowItIsRecovered() {
        for entry in MessageDescriptor.all {
            #expect((entry.delivery == .critical) == (entry.recovery != nil), "\(entry.type)")
            #expect(entry.summary.last == "." || entry.summary.last == "?", "\(entry.type)")
        }
    }

    @Test func requestsHaveResultsAndEventsHaveNone() {
        for entry in MessageDescriptor.all {
            switch entry.form {
            case .request, .either: #expect(entry.result != nil, "\(entry.type)")
            case .notification, .event: #expect(entry.result == nil, "\(entry.type)")
            }
            if entry.direction == .toServer, let type = ClientMessage(rawValue: entry.type) {
                #expect((entry.form == .request) == type.needsID, "\(entry.type)")
            }
        }
    }

    @Test func closeCodesCarryTheirRule() {
        for code in CloseCode.allCases {
            let rule: ByeAction =
                code.rawValue / 100 == 40 ? .reconnect : code.rawValue / 100 == 44 ? .fix : .stop
            #expect(code.action == rule, "\(code)")
        }
    }
}
