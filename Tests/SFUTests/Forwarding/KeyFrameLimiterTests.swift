import RTP
import Testing

@testable import SFU

@Suite struct KeyFrameLimiterTests {
    private let start = Instant(microseconds: 1_000_000)

    @Test func aStormOfWishesIsOneRequestPerInterval() {
        var limiter = KeyFrameLimiter()
        var sent = 0
        for step in Int64(0)..<2000 {
            limiter.want()
            if limiter.shouldSend(at: start + .milliseconds(step)) { sent += 1 }
        }
        #expect(sent == 4)
    }

    @Test func asksAgainUntilAKeyFrameComes() {
        var limiter = KeyFrameLimiter()
        let unasked = limiter.shouldSend(at: start)
        limiter.want()
        let first = limiter.shouldSend(at: start)
        #expect(!unasked && first)
        #expect(limiter.nextDeadline == start + Limits.Media.keyFrameInterval)
        let second = limiter.shouldSend(at: start + Limits.Media.keyFrameInterval)
        limiter.received()
        let afterKeyFrame = limiter.shouldSend(at: start + .seconds(9))
        #expect(second && !afterKeyFrame)
        #expect(limiter.nextDeadline == .distantFuture)
    }
}
